"""One replay on the wire, from a folder with a capture to a folder with a run.

The capture is published to topics of its own, real workers consume it and write under a prefix of their own in Redis, and what
they publish is put into the run's order. The run has the form of one in place, and the same hashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from stream.gate.state.accounting import Accounting
from stream.gate.state.checkpoint import CheckpointStore
from stream.redis_client import connect_redis
from stream.replay import errors
from stream.replay.capture import Capture
from stream.replay.errors import CaptureError, ReplayError, WireError
from stream.replay.in_place import Progress
from stream.replay.run import RunWriter
from stream.replay.wire.collector import Collector
from stream.replay.wire.infer import FAILED, Failed
from stream.replay.wire.lodging import Lodging
from stream.replay.wire.plan import Asked, names_for
from stream.replay.wire.preparing import default_rules, prepare, wire_settings
from stream.replay.wire.serving import COUNTS
from stream.replay.wire.topics import make_topics, require_no_keys
from stream.replay.wire.workers import Workers
from stream.replay.wire.writing import Came, write_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from redis.asyncio import Redis

    from stream.replay.replaying import Setup, Wish
    from stream.replay.run import Run
    from stream.replay.wire.preparing import Ready

__all__ = ["OnTheWire", "Wire"]

_WAIT_MS = 200
_LOOK_S = 0.5
_STALLED_S = 300.0

_Sent = dict[int, dict[str, int]]
"""How many events of each partition number were published, by topic."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How a replay goes on the wire.

    Attributes:
        command: what runs a worker; options are added.
        workers: how many, each with gate and inference.
        names: prefixes for topics and keys; None for ones that nobody else has.
        production: whether names may be production's, where nothing lies under them yet; they are left as they are then.
        keep: leave topics and keys where they are when it is done.
    """

    command: Sequence[str]
    workers: int = 3
    names: Asked = field(default_factory=Asked)
    production: bool = False
    keep: bool = False


class _Applied(NamedTuple):
    """How far the gates are: the next offsets by partition number and topic, and what became of the events."""

    offsets: Mapping[int, Mapping[str, int]]
    counts: Accounting

    def reached(self, sent: _Sent) -> bool:
        return all(
            self.offsets.get(number, {}).get(topic, 0) >= count
            for number, topics in sent.items()
            for topic, count in topics.items()
        )


class OnTheWire:
    """One replay.

    Args:
        setup: the settings in force; broker and Redis are theirs.
        wish: what to replay and how.
        wire: see there.

    Attributes:
        workers: the processes, once they are to run.
    """

    def __init__(self, setup: Setup, wish: Wish, wire: Wire) -> None:
        self._setup = setup
        self._wish = wish
        self._wire = wire
        self.workers: Workers | None = None
        self._keys = ""

    async def run(self, progress: Callable[[Progress], None] | None = None) -> Run:
        """Replay all of it and keep the run.

        Raises:
            WireError: the names are production's, the broker refuses, or workers fail.
            CaptureError: the capture cannot be read, or has no event to replay.
            CallMissingError: the cassette is strict and lacks a call.
            CatalogError: there is no catalogue and slates are wanted.
            RunError: the run cannot be written.
            StreamError: broker or Redis do not answer.
        """
        wish, wire, rules = self._wish, self._wire, default_rules(self._setup)
        capture = Capture(wish.capture)
        names, own = names_for(wish.run.name, self._setup.stream, wire.names, production=wire.production)
        self._keys = names.keys
        setup = wire_settings(self._setup, capture, names)
        lodging = Lodging(wish.run, setup.stream.kafka)
        redis = await connect_redis(setup.stream.redis)
        try:
            await lodging.clear(redis)  # of a replay that was interrupted
            with RunWriter(wish.run, replace=wish.replace) as writer:
                ready = prepare(
                    setup, capture, wish, names, own=own, rules=rules, did=lambda did: writer.add("acts", did)
                )
                await require_no_keys(redis, names.keys)
                lodging.note(ready.plan)  # before anything is made, so that whoever repeats this finds it
                try:
                    await asyncio.to_thread(make_topics, setup.stream.kafka, ready.topics)
                    run = await self._replay(setup, ready, writer, lodging, redis, progress)
                finally:
                    if not wire.keep:
                        await lodging.clear(redis)
            lodging.forget()
            return run
        finally:
            await redis.aclose()

    async def _replay(
        self,
        setup: Setup,
        ready: Ready,
        writer: RunWriter,
        lodging: Lodging,
        redis: Redis,
        progress: Callable[[Progress], None] | None,
    ) -> Run:
        wish, kafka, plan, publisher = self._wish, setup.stream.kafka, ready.plan, ready.publisher
        began = time.perf_counter()
        partitions = ready.topics[kafka.triggers_topic]
        async with publisher, Collector(kafka, lodging.folder / "gathered.sqlite") as collector:
            bad = 0
            if wish.slates:
                plan.changes, bad = await publisher.changes()
            # At full speed all is on the broker before a worker reads, so no order depends on when it does.
            sent = await publisher.events() if wish.speed is None else None
            if sent is not None and not any(topics for topics in sent.values()):
                raise CaptureError(
                    "There is no event to replay.", way_out="Choose other --users, or another capture."
                )
            roles = "gate,infer" if wish.slates else "gate"
            workers = Workers(
                self._wire.command, lodging.note(plan), setup, self._wire.workers, roles, lodging.logs
            )
            self.workers = workers
            publishing: asyncio.Task[_Sent] | None = None
            try:
                await asyncio.to_thread(workers.start)
                if sent is None:
                    publishing = asyncio.create_task(publisher.events(wish.speed))
                collector.follow(partitions, chains=wish.slates)
                counts = await self._watch(collector, sent, publishing, redis, partitions, progress)
            finally:
                if publishing is not None:
                    publishing.cancel()
                    with contextlib.suppress(asyncio.CancelledError, ReplayError):
                        await publishing
                await asyncio.to_thread(workers.stop)
            told = ready.told
            if collector.differing:
                told.notes.append(
                    f"{collector.differing} of {collector.repeated} records that came again differ; the first ones count."
                )
            if workers.restarts:
                told.notes.append(f"Workers that were killed and started again: {workers.restarts}.")
            if publisher.unseen:
                told.notes.append(f"There is no event of {', '.join(sorted(publisher.unseen))}.")
            if bad:
                told.notes.append(f"{bad} records of the catalog topic are no change.")
            asked = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(f"{plan.names.keys}{COUNTS}"))
            came = Came(
                counts,
                {name.decode(): int(count) for name, count in asked.items()},
                time.perf_counter() - began,
            )
            return write_run(writer, collector, told, came, slates=wish.slates, chains=wish.chains)

    async def _watch(
        self,
        collector: Collector,
        sent: _Sent | None,
        publishing: asyncio.Task[_Sent] | None,
        redis: Redis,
        partitions: int,
        progress: Callable[[Progress], None] | None,
    ) -> Accounting:
        """Gather until all events are applied and every trigger has its slate; return what became of the events."""
        prefix, workers = self._keys, self.workers
        moved, before = time.monotonic(), (-1, -1, -1)
        looked = 0.0
        while True:
            await collector.gather(_WAIT_MS)
            if time.monotonic() - looked < _LOOK_S:
                continue
            looked = time.monotonic()
            if publishing is not None and publishing.done():
                sent = publishing.result()
            failed = await redis.get(f"{prefix}{FAILED}")
            if failed is not None:
                raise _raised(msgspec.json.decode(failed, type=Failed))
            if workers is not None:
                workers.tend()
            applied = await _applied(CheckpointStore(redis, prefix), partitions)
            counts = applied.counts
            if progress is not None:
                progress(Progress(counts.received, collector.triggers, collector.latest))
            done = collector.chains if self._wish.slates else collector.triggers
            if sent is not None and applied.reached(sent) and done >= counts.triggers:
                return counts
            now = (counts.received, collector.triggers, collector.chains)
            if now != before:
                moved, before = time.monotonic(), now
            elif time.monotonic() - moved > _STALLED_S and sent is not None:
                raise WireError(
                    f"Nothing has moved for {_STALLED_S:.0f} s: {counts.received} events applied, "
                    f"{collector.triggers} triggers and {collector.chains} slates of {counts.triggers}.",
                    way_out="The workers' logs are in the folder beside the run.",
                )


async def _applied(store: CheckpointStore, partitions: int) -> _Applied:
    """What the checkpoints say."""
    offsets: dict[int, Mapping[str, int]] = {}
    counts = Accounting()
    for number in range(partitions):
        found = await store.read_offsets(number)
        if found is not None:
            offsets[number] = found.offsets
            counts += found.counts
    return _Applied(offsets, counts)


def _raised(failed: Failed) -> ReplayError:
    """What ended a worker, as the error that it was."""
    kind = getattr(errors, failed.error, WireError)
    known = isinstance(kind, type) and issubclass(kind, ReplayError)
    return (kind if known else WireError)(failed.message, way_out=failed.way_out)
