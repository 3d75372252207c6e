"""Where the events of a simulation come from: a file or dataset, or the event topics of a broker.

Either way an event is decoded by the gate's decoder and arrives as the gate would see it. Of a file the
sequence is the file's, as `nearline send` would send it. Of topics it is the gate's own merge: by the time
a record was sent, then event time, then topic and offset.
"""

from __future__ import annotations

import gzip
import time
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from aiokafka import TopicPartition

from stream.datasets.errors import DatasetError
from stream.events import DefectiveEventError, EventDecoder, Limits
from stream.gate.arrivals import arrivals
from stream.gate.gate import Arrival
from stream.gate.merge import BEFORE_ALL, Horizon, Merge
from stream.recorded import RecordedTopics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from aiokafka import ConsumerRecord

    from stream.datasets import Dataset
    from stream.events import Event
    from stream.settings import GateSettings, KafkaSettings

__all__ = ["BrokerHistory", "FileHistory", "History", "HistoryBatch"]

_BATCH = 5_000
_HELD_READS = 4
_LONGEST_LINE = 16 * 1024 * 1024
_EVER = float("inf")


class HistoryBatch(NamedTuple):
    """Events of one partition in the order to apply them. ``share`` of the whole is done, if known.

    ``last`` says that this partition is read to its end and its state no longer needed.
    """

    partition: int
    arrivals: Sequence[Arrival]
    share: float | None = None
    last: bool = False


class History(Protocol):
    """What a simulation reads."""

    @property
    def name(self) -> str:
        """How it is called in reports."""

    @property
    def notes(self) -> list[str]:
        """What a reader of the report must know of where the events came from."""

    def batches(self) -> AsyncIterator[HistoryBatch]:
        """Yield the events, once."""


class _Doors:
    """Which decoder an event meets: the one of the topic that it would be sent to."""

    def __init__(self, kafka: KafkaSettings, limits: Limits) -> None:
        self._kafka = kafka
        self.topics = kafka.event_topic_names()
        self.decoders = {
            kafka.prefix + topic.topic: EventDecoder(limits, fields=topic.fields, event_type=topic.type)
            for topic in kafka.event_topics
        }
        # Without field mappings the decoders differ only in the type of events that carry none, and
        # those go to the first topic: its decoder judges every event as the event's own topic would.
        self.alike = not any(topic.fields for topic in kafka.event_topics)
        self.longest_alike = limits.max_event_bytes // 4  # encoded anew, a text may be longer

    def route(self, event: dict[str, object]) -> tuple[str, bytes]:
        """Topic and bytes that ``nearline send`` would send."""
        kind = event.get("type")
        topic = self._kafka.topic_of(kind) if isinstance(kind, str) else None
        return topic or self.topics[0], msgspec.json.encode(event)


def _limits(gate: GateSettings) -> Limits:
    return Limits(max_event_bytes=gate.max_event_bytes, future_ms=int(gate.future_s * 1000))


class FileHistory:
    """Events of a dataset or of a file of one's own events, in its sequence, all in one partition.

    A shopper's state is their own, so that one partition gives the same firings as many. Whether a time
    is in the future is judged by the clock at the start, as if the events were sent now.
    """

    def __init__(
        self,
        dataset: Dataset,
        kafka: KafkaSettings,
        gate: GateSettings,
        *,
        events: int | None = None,
        seed: int = 0,
    ) -> None:
        self._dataset = dataset
        self._doors = _Doors(kafka, _limits(gate))
        self._events = events
        self._seed = seed
        self.name = dataset.name
        self.notes: list[str] = []
        path = Path(dataset.name)
        lines = path.name.endswith((".jsonl", ".jsonl.gz")) and path.is_file()
        self._plain = path if lines and self._doors.alike else None

    async def batches(self) -> AsyncIterator[HistoryBatch]:
        """Yield the events in the sequence of the file."""
        now = time.time_ns() // 1_000_000
        rows = self._lines(self._plain) if self._plain is not None else self._rows()
        batch: list[Arrival] = []
        share = None
        for number, (topic, value, share) in enumerate(rows):
            event: Event | DefectiveEventError
            try:
                event = self._doors.decoders[topic].decode(value, now)
            except DefectiveEventError as error:
                event = error
            batch.append(Arrival(BEFORE_ALL, topic, number, event, value, now))
            if len(batch) == _BATCH:
                yield HistoryBatch(0, batch, share)
                batch = []
        yield HistoryBatch(0, batch, share, last=True)

    def _rows(self) -> Iterator[tuple[str, bytes, float | None]]:
        for row in self._dataset.raw_events(seed=self._seed, limit=self._events):
            if isinstance(row, bytes):
                yield self._doors.topics[0], row, None
            else:
                topic, value = self._doors.route(row)
                yield topic, value, None

    def _lines(self, path: Path) -> Iterator[tuple[str, bytes, float | None]]:
        """The lines of a JSON Lines file, undecoded; what could differ goes the way of the dataset."""
        size = max(1, path.stat().st_size)
        first, plain = self._doors.topics[0], self._doors.longest_alike
        left = self._events if self._events is not None else -1
        try:
            with path.open("rb") as raw:
                # GzipFile reads as any binary file does, which its type does not say.
                lines: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw  # type: ignore[assignment]
                while left and (line := lines.readline(_LONGEST_LINE)):
                    if len(line) == _LONGEST_LINE:
                        raise DatasetError(
                            f"{path}: a line is longer than {_LONGEST_LINE} bytes.",
                            way_out="Give one event on each line; a file that is one long array is not JSON Lines.",
                        )
                    text = line.strip()
                    if not text:
                        continue
                    left -= 1
                    share = raw.tell() / size if left % _BATCH == 0 else None
                    if len(text) <= plain:
                        yield first, text, share
                    else:
                        yield *self._encoded_anew(text), share
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(
                f"{path}: cannot be read to its end ({error}).",
                way_out="Check that the file is whole and of the kind its name says.",
            ) from error

    def _encoded_anew(self, text: bytes) -> tuple[str, bytes]:
        try:
            row = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            row = None
        return self._doors.route(row) if isinstance(row, dict) else (self._doors.topics[0], text)


class BrokerHistory:
    """What the event topics of a broker hold, sent at or after ``since`` and up to now.

    Partitions are read one after another, so that no more than one of them is in memory.

    Args:
        kafka: the broker and its topics.
        gate: bounds of events.
        since: milliseconds; None for all that the topics hold.
    """

    def __init__(self, kafka: KafkaSettings, gate: GateSettings, since: int | None) -> None:
        self._kafka = kafka
        self._since = since
        self._doors = _Doors(kafka, _limits(gate))
        self.name = f"topics at {kafka.brokers}"
        self.notes: list[str] = []

    async def batches(self) -> AsyncIterator[HistoryBatch]:
        """Yield the events in the gate's order, partition by partition."""
        async with RecordedTopics(self._kafka, self._doors.topics) as topics:
            partitions = await topics.partitions()
            for place, (number, parts) in enumerate(partitions.items()):
                starts = await topics.starts(parts, self._since)
                merge = Merge(self._doors.topics, 0.0, 0.0)
                async for read, behind in topics.read(starts):
                    for tp, records in read.items():
                        read_now = self._decode(tp.topic, records, merge)
                        merge.add(tp.topic, read_now, 0.0)
                    lagging = {tp.topic for tp in behind}
                    # All but these are read to their end: what is before them has its place.
                    if ready := merge.release(Horizon(lagging, _EVER, 0.0), 0.0):
                        yield HistoryBatch(number, ready, place / len(partitions))
                    ahead = merge.ahead(lagging, _HELD_READS * _BATCH)
                    topics.rest({TopicPartition(topic, number) for topic in ahead})
                yield HistoryBatch(number, [], (place + 1) / len(partitions), last=True)
            if topics.scanned:
                self.notes.append(
                    "The broker's offsets for a time are wrong, so the topics were read from their start; "
                    "what was sent before the time asked for is not counted."
                )
            if not partitions:
                self.notes.append("None of the event topics exists on this broker.")

    def _decode(self, topic: str, records: Sequence[ConsumerRecord], merge: Merge) -> list[Arrival]:
        since = self._since
        sent = records if since is None else [one for one in records if (one.timestamp or -1) >= since]
        now = time.time_ns() // 1_000_000
        return arrivals(topic, sent, self._doors.decoders[topic], merge, now)
