"""The book of rules in Redis: every version with its author, time and note, and which one is in force.

A version is written by compare-and-set on the current number: who began from an earlier one is told
what came in between and nothing is overwritten. The keys share a hash tag, so the script holds on
Redis Cluster:

========================  ======  ========================================================
``nl:rules:{book}:now``       string  number of the version in force; missing while the book is empty
``nl:rules:{book}:versions``  hash    number to :class:`Version`
``nl:rules:{book}:texts``     hash    digest to text, also of rules files that workers were started with
========================  ======  ========================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import msgspec

from stream.errors import CheckpointError, RulesConflictError, RulesError
from stream.gate.rules.ruleset import parse_rules

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis.asyncio import Redis

    from stream.gate.rules.ruleset import RuleSet

__all__ = ["RuleBook", "Version"]

_LONGEST_NOTE = 500
_LONGEST_TEXT = 1_000_000

# Returns 0 when written, else the number that is in force.
_SET = """
local now = tonumber(redis.call('GET', KEYS[1]) or '0')
if now ~= tonumber(ARGV[1]) then return now end
local number = now + 1
redis.call('HSET', KEYS[2], tostring(number), ARGV[2])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
redis.call('SET', KEYS[1], tostring(number))
return 0
"""


class Version(msgspec.Struct, frozen=True):
    """One version of the rules. ``at`` is wall clock, milliseconds; ``base`` the version before it."""

    number: int
    author: str
    at: int
    note: str
    digest: str
    base: int
    text: str


class RuleBook:
    """Reads and writes the book. ``prefix`` stands before every key."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._now = f"{prefix}rules:{{book}}:now"
        self._versions = f"{prefix}rules:{{book}}:versions"
        self._texts = f"{prefix}rules:{{book}}:texts"

    @property
    def keys(self) -> tuple[str, str, str]:
        """The book's keys; they share a slot."""
        return self._now, self._versions, self._texts

    async def number(self) -> int:
        """Number of the version in force; 0 while the book is empty."""
        return int(await self._redis.get(self._now) or 0)

    async def version(self, number: int) -> Version:
        """One version of the book.

        Raises:
            RulesError: the book has no such version, or what it has cannot be read.
        """
        data = await cast("Awaitable[bytes | None]", self._redis.hget(self._versions, str(number)))
        if data is None:
            raise RulesError(
                f"The book of rules has no version {number}.", way_out="`nearline rules history` lists them."
            )
        return self._decode(data)

    async def current(self) -> Version | None:
        """The version in force; None while the book is empty."""
        number = await self.number()
        return await self.version(number) if number else None

    async def history(self) -> list[Version]:
        """All versions, newest first."""
        values = await cast("Awaitable[list[bytes]]", self._redis.hvals(self._versions))
        return sorted((self._decode(data) for data in values), key=lambda version: -version.number)

    async def set(self, text: str, *, base: int, author: str, note: str, now: int) -> Version:
        """Write ``text`` as the next version after ``base`` and put it in force.

        Args:
            text: a rules file's text; it is checked as :func:`parse_rules` does.
            base: the version that the author began from; 0 for an empty book.
            author: who, and ``note`` why.
            note: why.
            now: wall clock, milliseconds.

        Raises:
            RulesError: the rules are wrong, or who or why is missing.
            RulesConflictError: another version than ``base`` is in force.
        """
        author, note = author.strip(), note.strip()
        for name, value in (("author", author), ("note", note)):
            if not value or len(value) > _LONGEST_NOTE or not value.isprintable():
                raise RulesError(
                    f"The {name} of a version is 1 to {_LONGEST_NOTE} printable characters on one line.",
                    way_out=f"Give one with --{name}.",
                )
        if len(text) > _LONGEST_TEXT:
            raise RulesError(
                f"The rules are {len(text)} characters long, at most {_LONGEST_TEXT} are taken.",
                way_out="Write fewer or shorter comments.",
            )
        digest = parse_rules(text, "the rules").digest
        version = Version(base + 1, author, now, note, digest, base, text)
        encoded = msgspec.json.encode(version)
        found = await self._redis.eval(_SET, 3, *self.keys, str(base), encoded, digest, text)
        if found and await self._is_other(version):
            raise _conflict(base, await self.current())
        return version

    async def _is_other(self, version: Version) -> bool:
        """Whether the next number is another's; the client may have sent ours twice over a lost answer."""
        data = await cast("Awaitable[bytes | None]", self._redis.hget(self._versions, str(version.number)))
        return data is None or self._decode(data) != version

    async def remember(self, digest: str, text: str) -> None:
        """Keep a rules file's text under its digest, so that whoever reads events again finds it."""
        await self._redis.hsetnx(self._texts, digest, text)

    async def rules_of(self, digest: str) -> RuleSet:
        """The rules whose digest this was when they came into force.

        Raises:
            CheckpointError: the book does not have them, or this program cannot read them.
        """
        text = await cast("Awaitable[bytes | None]", self._redis.hget(self._texts, digest))
        if text is None:
            raise CheckpointError(
                f"A checkpoint was made under rules {digest}, whose text is not in Redis ({self._texts}).",
                way_out="Restore Redis from its backup: the book of rules and the checkpoints belong together.",
            )
        try:
            return parse_rules(text.decode(), f"rules {digest}", strict=False)
        except (RulesError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"The rules that a checkpoint was made under cannot be read: {error}",
                way_out="Run the version of Nearline that wrote them.",
            ) from error

    def _decode(self, data: bytes) -> Version:
        try:
            return msgspec.json.decode(data, type=Version)
        except msgspec.DecodeError as error:
            raise RulesError(
                f"A version in the book of rules ({self._versions}) is damaged: {error}.",
                way_out="Restore Redis from its backup, or set the rules anew.",
            ) from error


def _conflict(base: int, current: Version | None) -> RulesConflictError:
    """What an author is told who began from ``base`` while ``current`` is in force."""
    if current is None:
        return RulesConflictError(
            f"You began from version {base}, but the book of rules is empty.",
            current=None,
            way_out="Nothing was changed; repeat with --base 0 to write its first version.",
        )
    when = datetime.fromtimestamp(current.at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return RulesConflictError(
        f"You began from version {base}, but version {current.number} is in force: by {current.author}, "
        f'{when}, "{current.note}".',
        current=current,
        way_out=f"Nothing was changed; look at what they changed, and repeat with --base {current.number}.",
    )
