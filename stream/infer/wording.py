"""Portraits in a language model's words, beside the way from triggers to slates: no trigger waits for them.

A portrait without words joins a bounded queue when a trigger shows it, and words are there for the triggers after it. They are
kept with the shopper in Redis, so that another worker has them too, and hold while the ledger does. A model that is away is left
alone for a while, and what it did not answer is asked again at the shopper's next trigger.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from agents.breaker import Breaker
from agents.errors import GenerationError
from agents.portrait import CODE
from agents.portrait_wording import borne_out, word
from agents.runtime.server import ServerRuntime

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from agents.portrait import Portrait
    from agents.runtime import Runtime
    from agents.settings import AgentSettings

__all__ = ["PortraitWords", "portrait_words"]

_BATCH: Final = 16
_REMEMBERED: Final = 50_000
_PATIENCE_S: Final = 60.0


class _Words(msgspec.Struct, array_like=True):
    """What is kept of a shopper: the ledger's mark, and words that hold under it."""

    mark: str
    wording: str
    worded_by: str


class PortraitWords:
    """Words for portraits; safe to ask from any thread.

    Args:
        runtime: The model that words.
        settings: How many wait, and when to leave the model alone.
        redis: Where words are kept.
        prefix: Of the keys, as ``stream.redis.prefix``.
        ttl_s: Seconds that words are kept.
    """

    def __init__(
        self, runtime: Runtime, settings: AgentSettings, redis: Redis, prefix: str, ttl_s: int
    ) -> None:
        self._runtime = runtime
        self._most = settings.wording.waiting
        self._breaker = Breaker(settings.breaker.failures, settings.breaker.pause)
        self._redis = redis
        self._prefix = prefix
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Portrait] = OrderedDict()
        self._known: OrderedDict[str, _Words] = OrderedDict()
        self.counts = dict.fromkeys(
            ("worded", "kept as they were", "found in Redis", "unanswered", "forgotten"), 0
        )

    def of(self, user: str, portrait: Portrait) -> Portrait:
        """The portrait in words where there are any for its ledger; else as it is, and it waits for words."""
        with self._lock:
            words = self._known.get(user)
            if words is not None and words.mark == portrait.mark:
                self._known.move_to_end(user)
                if words.worded_by == CODE:
                    return portrait
                return replace(portrait, wording=words.wording, worded_by=words.worded_by)
            self._waiting[user] = portrait
            self._waiting.move_to_end(user)
            if len(self._waiting) > self._most:
                self._waiting.popitem(last=False)
                self.counts["forgotten"] += 1
        return portrait

    async def step(self) -> bool:
        """Word some of those that wait, the longest waiting first; whether there were any and the model was asked or not needed."""
        if not self._waiting or not self._breaker.admit(time.monotonic()):
            return False
        with self._lock:
            batch = [self._waiting.popitem(last=False) for _ in range(min(_BATCH, len(self._waiting)))]
        left = await self._read(batch)
        if not left:
            self._breaker.succeeded()
            return True
        made = await word(
            [portrait for _, portrait in left], self._runtime, deadline=time.monotonic() + _PATIENCE_S
        )
        found: dict[str, _Words] = {}
        for (user, before), after in zip(left, made, strict=True):
            if isinstance(after, GenerationError):
                self.counts["unanswered"] += 1
                self._breaker.failed(time.monotonic())
                continue
            self._breaker.succeeded()
            self.counts["kept as they were" if after is before else "worded"] += 1
            found[user] = _Words(after.mark, after.wording, after.worded_by)
        self._remember(found)
        pipe = self._redis.pipeline(transaction=False)
        for user, words in found.items():
            pipe.set(self._key(user), msgspec.json.encode(words), ex=self._ttl_s)
        if found:
            await pipe.execute()
        return True

    async def close(self) -> None:
        """Let go of the model."""
        await self._runtime.close()

    async def _read(self, batch: list[tuple[str, Portrait]]) -> list[tuple[str, Portrait]]:
        """Take the words that Redis has; those that are left have none for their ledger."""
        pipe = self._redis.pipeline(transaction=False)
        for user, _ in batch:
            pipe.get(self._key(user))
        found: dict[str, _Words] = {}
        for (user, portrait), data in zip(batch, await pipe.execute(), strict=True):
            words = _decoded(data)
            # Facts may read otherwise later on though the ledger is the same.
            if words is not None and words.mark == portrait.mark and _holds(words, portrait):
                found[user] = words
        self.counts["found in Redis"] += len(found)
        self._remember(found)
        return [(user, portrait) for user, portrait in batch if user not in found]

    def _remember(self, found: dict[str, _Words]) -> None:
        with self._lock:
            for user, words in found.items():
                self._known[user] = words
                self._known.move_to_end(user)
                # Asked for once more while it was worded.
                waiting = self._waiting.get(user)
                if waiting is not None and waiting.mark == words.mark:
                    del self._waiting[user]
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _key(self, user: str) -> str:
        return f"{self._prefix}portrait:{user}"


def portrait_words(settings: AgentSettings, redis: Redis, prefix: str, ttl_s: int) -> PortraitWords | None:
    """Words by the server that the settings name; None where they are off.

    Raises:
        AgentError: they are on, and no model of a server is named.
    """
    if not settings.wording.enabled:
        return None
    own = settings.wording.server
    return PortraitWords(ServerRuntime(own if own.model else settings.server), settings, redis, prefix, ttl_s)


def _holds(words: _Words, portrait: Portrait) -> bool:
    return words.worded_by == CODE or borne_out(words.wording, portrait)


def _decoded(data: bytes | None) -> _Words | None:
    try:
        return msgspec.json.decode(data, type=_Words) if data is not None else None
    except msgspec.DecodeError:
        return None
