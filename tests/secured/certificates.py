"""A certificate authority of the tests' own, and what it signed, as OpenSSL makes them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Certificates", "make_certificates"]


@dataclass(frozen=True)
class Certificates:
    """PEM files. ``both`` is certificate and key in one, as Apache Kafka reads it; ``stranger`` an authority that signed nothing."""

    authority: Path
    certificate: Path
    key: Path
    both: Path
    stranger: Path


def _openssl(*arguments: str, folder: Path) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _authority(name: str, folder: Path) -> Path:
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        folder=folder,
    )
    return folder / f"{name}.pem"


def make_certificates(folder: Path) -> Certificates:
    """A certificate for 127.0.0.1 and localhost, good for servers and for clients."""
    authority, stranger = _authority("authority", folder), _authority("stranger", folder)
    (folder / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    _openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key"),
        *("-out", "server.csr"),
        folder=folder,
    )
    _openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key"),
        *("-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "server.pem"),
        folder=folder,
    )
    key, certificate, both = folder / "server.key", folder / "server.pem", folder / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return Certificates(authority, certificate, key, both, stranger)
