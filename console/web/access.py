"""Who is asking: sign-in, sessions, HTTP Basic, bearer tokens, and the token that guards every change.

A session is a signed cookie that holds a name and a time; the role is looked up at each request, so an account that
is taken away is out at the next start, whatever cookies say.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import secrets
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from console.errors import ConsoleError, SettingsError
from console.web.settings import Role

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr
    from starlette.requests import Request

    from console.web.settings import ConsoleSettings

__all__ = ["COOKIE", "Access", "Operator", "Stranger", "TooManyTriesError"]

COOKIE = "nearline_session"

_TRIES = 8
_TRIES_WITHIN_S = 60.0
_MOST_REMEMBERED = 2_000
_SALT = "nearline.console.session"


class TooManyTriesError(ConsoleError):
    """Somebody tried secret after secret."""


class Stranger(StrEnum):
    """Why nobody is signed in."""

    NEW = "new"
    """No session, no other credentials."""
    EXPIRED = "expired"
    """The session is older than allowed."""
    FORGED = "forged"
    """The cookie was not signed by this console: it was started anew with a new key, or tampered with."""
    GONE = "gone"
    """The account is no longer configured."""
    WRONG = "wrong"
    """Name and secret, or token, do not fit."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who came in. ``by_token``: credentials that no browser sends on its own."""

    name: str
    role: Role
    by_token: bool = False

    @property
    def may_change(self) -> bool:
        """Whether changes are theirs to make."""
        return self.role is Role.OPERATOR


class Access:
    """Tells who is asking.

    Args:
        settings: accounts, and how long sessions last.

    Raises:
        SettingsError: a file of secrets cannot be read or holds none.
    """

    def __init__(self, settings: ConsoleSettings) -> None:
        self.open = not settings.accounts
        self.session_s = settings.session_hours * 3600
        self._roles = {account.name: account.role for account in settings.accounts}
        self._secrets = {
            account.name: _digest(_secret(f"account {account.name}", account.secret, account.secret_file))
            for account in settings.accounts
        }
        if settings.session_key is not None or settings.session_key_file is not None:
            key = _secret("console.session_key", settings.session_key, settings.session_key_file)
        else:
            key = secrets.token_urlsafe(32)
        self._key = key.encode()
        self._serializer = URLSafeTimedSerializer(key, salt=_SALT)
        self._failures: dict[tuple[str, str], deque[float]] = {}
        self._local = Operator(_user_of_this_computer(), Role.OPERATOR)

    def sign_in(self, name: str, secret: str, address: str) -> Operator | None:
        """The operator of that name and secret; None if they do not fit.

        Raises:
            TooManyTriesError: too many wrong tries from that address for that name.
        """
        place = (address, name[:100])
        now = time.monotonic()
        tries = self._failures.setdefault(place, deque(maxlen=_TRIES))
        if len(tries) == _TRIES and now - tries[0] < _TRIES_WITHIN_S:
            raise TooManyTriesError(
                f"There were {_TRIES} wrong tries within a minute.", way_out="Wait a minute, then try again."
            )
        expected = self._secrets.get(name, b"\0" * 32)
        if hmac.compare_digest(_digest(secret), expected) and name in self._roles:
            del self._failures[place]
            return Operator(name, self._roles[name])
        tries.append(now)
        while len(self._failures) > _MOST_REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return None

    def session(self, operator: Operator) -> str:
        """The cookie of a new session."""
        return self._serializer.dumps(operator.name)

    def who(self, request: Request) -> Operator | Stranger:
        """Who sent this request."""
        if self.open:
            return self._local
        header = request.headers.get("authorization")
        if header is not None:
            return self._by_header(header, request.client.host if request.client else "")
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return Stranger.NEW
        try:
            name = self._serializer.loads(cookie, max_age=int(self.session_s))
        except SignatureExpired:
            return Stranger.EXPIRED
        except BadSignature:
            return Stranger.FORGED
        role = self._roles.get(name) if isinstance(name, str) else None
        return Operator(name, role) if role is not None else Stranger.GONE

    def guard(self, operator: Operator) -> str:
        """The token that a form of this operator's must carry: no other site can know it."""
        return hmac.new(self._key, b"csrf\0" + operator.name.encode(), hashlib.sha256).hexdigest()

    def guarded(self, operator: Operator, token: str) -> bool:
        """Whether ``token`` is the operator's."""
        return hmac.compare_digest(self.guard(operator).encode(), token.encode())

    def _by_header(self, header: str, address: str) -> Operator | Stranger:
        kind, _, rest = header.partition(" ")
        if kind.lower() == "bearer":
            return self._by_token(rest.strip(), address)
        if kind.lower() != "basic":
            return Stranger.WRONG
        try:
            name, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Stranger.WRONG
        return self.sign_in(name, secret, address) or Stranger.WRONG

    def _by_token(self, token: str, address: str) -> Operator | Stranger:
        given = _digest(token)
        found = [name for name, secret in self._secrets.items() if hmac.compare_digest(given, secret)]
        if found:
            return Operator(found[0], self._roles[found[0]], by_token=True)
        self.sign_in("", token, address)  # counts the try
        return Stranger.WRONG


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _secret(what: str, given: SecretStr | None, file: Path | None) -> str:
    if given is not None:
        return given.get_secret_value()
    try:
        text = file.read_text(encoding="utf-8").partition("\n")[0].strip() if file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The secret of {what} cannot be read from {file} ({error}).", way_out="Make the file readable."
        ) from error
    if len(text) < 12:  # as in the settings
        raise SettingsError(
            f"The secret of {what} in {file} is shorter than 12 characters.", way_out="Use a longer one."
        )
    return text


def _user_of_this_computer() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return "local"
