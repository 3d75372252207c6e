"""Settings of the operators' web page."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from pathlib import Path  # pydantic resolves the annotation at run time
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["Account", "ConsoleSettings", "Role", "is_loopback"]

_SHORTEST_SECRET = 12


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    """Look at everything, try rules."""
    OPERATOR = "operator"
    """Change rules and send dead events again, too."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


class Account(_Model):
    """One who may come in."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", description="Stands in the history of changes."
    )
    role: Role = Field(default=Role.VIEWER, description="viewer or operator.")
    secret: SecretStr | None = Field(
        default=None,
        description="Password of the sign-in page and of HTTP Basic, and the token after `Authorization: Bearer`.",
    )
    secret_file: Path | None = Field(default=None, description="A file whose first line is the secret.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            msg = f"account {self.name}: expected either `secret` or `secret_file`"
            raise ValueError(msg)
        if self.secret is not None and len(self.secret.get_secret_value()) < _SHORTEST_SECRET:
            msg = f"account {self.name}: a secret has at least {_SHORTEST_SECRET} characters"
            raise ValueError(msg)
        return self


class ConsoleSettings(_Model):
    """The operators' web page (`nearline console`)."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Any but loopback needs `accounts`.",
        min_length=1,
    )
    port: int = Field(default=8650, ge=1, le=65535, description="Port to listen on.")
    accounts: list[Account] = Field(
        default_factory=list,
        description="Who may come in: a list of {name, role, secret or secret_file}; role is viewer or operator. "
        "Without any, whoever can reach the loopback address is the operator.",
    )
    session_key: SecretStr | None = Field(
        default=None,
        description="Key that sessions are signed with, for consoles behind one address and for sessions that outlive a "
        "restart; one of its own each start if not given.",
    )
    session_key_file: Path | None = Field(default=None, description="A file whose first line is that key.")
    session_hours: float = Field(default=8, gt=0, description="Hours after which a session has expired.")
    certificate: Path | None = Field(default=None, description="TLS certificate (PEM) to serve HTTPS with.")
    certificate_key: Path | None = Field(default=None, description="Its private key (PEM).")
    behind_tls: bool = Field(
        default=False, description="A proxy in front serves HTTPS: cookies are sent over HTTPS only."
    )
    audit_log: Path | None = Field(
        default=None,
        description="File that gets every change as a line of JSON, beside the trail in Redis; the log of the process if "
        "not given.",
    )
    audit_entries: int = Field(default=100_000, ge=100, description="Entries that the trail in Redis keeps.")
    simulate_s: float = Field(
        default=600, gt=0, description="Seconds after which a simulation started from the page is given up."
    )

    @field_validator("accounts")
    @classmethod
    def _names_differ(cls, accounts: list[Account]) -> list[Account]:
        names = [account.name for account in accounts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"two accounts are called {', '.join(twice)}"
            raise ValueError(msg)
        return accounts

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not is_loopback(self.host) and not self.accounts:
            msg = (
                f"host {self.host} can be reached from other machines and there are no accounts: name some under "
                "console.accounts, or listen on 127.0.0.1"
            )
            raise ValueError(msg)
        if (self.certificate is None) != (self.certificate_key is None):
            msg = "expected both certificate and certificate_key, or neither"
            raise ValueError(msg)
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
