"""Dead events sent again from the page: first looked for and counted, then, once somebody says so, sent.

It is the code of ``nearline dead redrive``. One runs at a time in each console; of two consoles, or of a console and a
command, each event is sent by one only, as the claims in Redis have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kafka.errors import KafkaError
from redis.exceptions import RedisError

from console.errors import ConsoleError
from nearline import NearlineError
from stream.dead.chosen import Chosen, choose, send_chosen
from stream.dead.redrive import Redrive, Redriven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from console.web.trail import Trail
    from stream.dead.search import Filters
    from stream.settings import KafkaSettings

__all__ = ["MOST", "Redrives", "Redriving", "State"]

log = logging.getLogger(__name__)

MOST = 100_000
"""Events that are sent at one time from the page; the command has no limit."""
_KEPT = 8


class State(StrEnum):
    """How far it is."""

    LOOKING = "looking"
    """The topic is read for what is meant."""
    ASKING = "asking"
    """It is known what would be sent; somebody is asked."""
    SENDING = "sending"
    """Originals are being sent."""
    DONE = "done"
    """All that could be sent was."""
    FAILED = "failed"
    """Redis, the broker or the trail did not answer; what was sent is remembered."""
    STOPPED = "stopped"
    """Somebody stopped it; what was sent is remembered."""


@dataclass
class Redriving:
    """One redrive. ``began`` and ``ended`` are wall clock, milliseconds; ``meant`` says in words what is to be sent."""

    id: str
    who: str
    meant: str
    began: float
    state: State = State.LOOKING
    ended: float | None = None
    chosen: Chosen | None = None
    result: Redriven = field(default_factory=Redriven)
    confirmed: bool = False
    recorded: bool = True
    words: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self.state in {State.LOOKING, State.SENDING}


class Redrives:
    """Begins, keeps and stops redrives. The newest eight are kept in memory.

    Args:
        kafka: the broker.
        redis: remembers what was sent.
        prefix: of keys in Redis.
        trail: gets an entry before the first event is sent, and one at the end.
    """

    def __init__(self, kafka: KafkaSettings, redis: Redis, prefix: str, trail: Trail) -> None:
        self._kafka = kafka
        self._work = Redrive(kafka, redis, prefix)
        self._trail = trail
        self._kept: dict[str, Redriving] = {}

    def look(self, who: str, filters: Filters, places: frozenset[str] | None, meant: str) -> Redriving:
        """Begin to look for what meets ``filters``, of ``places`` only where given.

        Raises:
            ConsoleError: another one is at work.
        """
        self._only_one()
        one = Redriving(secrets.token_urlsafe(9), who, meant, _now())
        self._kept[one.id] = one
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        one.task = asyncio.create_task(self._guarded(one, lambda: self._look(one, filters, places)))
        return one

    async def send(self, one: Redriving, who: str) -> None:
        """Begin to send what was found.

        Raises:
            ConsoleError: it is not waiting for that, another one is at work, somebody else began it, or the trail
                cannot be written.
        """
        chosen = one.chosen
        if one.state is not State.ASKING or chosen is None:
            raise ConsoleError("These events are not waiting to be sent.", way_out="Choose them again.")
        if one.who != who:
            raise ConsoleError(f"{one.who} chose these events.", way_out="Choose them yourself to send them.")
        self._only_one()
        one.state, one.confirmed = State.SENDING, True  # before anything waits: two clicks send once
        try:
            await self._trail.ready()
            one.recorded = await self._trail.write(
                who, "dead events: sending", on=f"{len(chosen.places):,} events", detail=one.meant
            )
        except ConsoleError:
            one.state, one.confirmed = State.ASKING, False
            raise
        one.task = asyncio.create_task(self._guarded(one, lambda: self._send(one, chosen)))

    def get(self, name: str) -> Redriving | None:
        """A redrive by its id; None if there is none (any more)."""
        return self._kept.get(name)

    async def stop(self, one: Redriving) -> None:
        """Stop it; before anything is sent that means that nothing is."""
        if one.state is State.ASKING:
            _end(one, State.STOPPED)
        elif one.task is not None and not one.task.done():
            one.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one.task
            if one.running:  # stopped before its first step
                _end(one, State.STOPPED)

    async def close(self) -> None:
        """Stop what is at work."""
        for one in list(self._kept.values()):
            if one.running:
                await self.stop(one)

    def _only_one(self) -> None:
        other = next((one for one in self._kept.values() if one.running), None)
        if other is not None:
            raise ConsoleError(
                f"{other.who} is at it: {other.meant}.", way_out="Wait for its end, or stop it on its page."
            )

    async def _look(self, one: Redriving, filters: Filters, places: frozenset[str] | None) -> None:
        def told(chosen: Chosen) -> None:
            one.chosen = chosen

        one.chosen = await choose(self._kafka, self._work, filters, places, MOST, told)
        one.state = State.ASKING

    async def _send(self, one: Redriving, chosen: Chosen) -> None:
        def told(result: Redriven) -> None:
            one.result = result

        try:
            one.result = await send_chosen(self._kafka, self._work, chosen, told)
        finally:
            sent = f"{one.result.sent:,} of {len(chosen.places):,} events"
            one.recorded &= await self._trail.write(one.who, "dead events: sent", on=sent, detail=one.meant)
        _end(one, State.DONE)

    async def _guarded(self, one: Redriving, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work``; whatever ends it is said on the page."""
        try:
            await work()
        except asyncio.CancelledError:
            _end(one, State.STOPPED)
            raise
        except NearlineError as error:
            _end(one, State.FAILED, str(error))
        except RedisError as error:
            _end(one, State.FAILED, f"Redis does not answer ({type(error).__name__}).")
        except (KafkaError, OSError) as error:
            _end(one, State.FAILED, f"The broker does not answer ({type(error).__name__}).")
        except Exception as error:
            log.exception("a redrive failed")
            _end(one, State.FAILED, f"{type(error).__name__}: a defect; the log has the whole.")


def _end(one: Redriving, state: State, words: str = "") -> None:
    """All that the page says of an end at once: it may ask at any moment."""
    one.ended, one.words, one.state = _now(), words, state


def _now() -> float:
    return time.time() * 1000
