"""What the source keeps of one owned partition, and where its topics end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from stream.gate.merge import Merge

__all__ = ["Lane", "end_of"]


class Lane:
    """One owned partition.

    ``reach`` has the end of each topic as the broker first told it to this owner: no earlier owner
    can have read further. ``settled`` says that all before has been emitted. ``read`` counts its records.
    """

    __slots__ = ("epoch", "merge", "reach", "read", "settled")

    def __init__(self, epoch: int, merge: Merge, *, settled: bool) -> None:
        self.epoch = epoch
        self.merge = merge
        self.reach: dict[str, int] = {}
        self.read = 0
        self.settled = settled


def end_of(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
    """Where the topic ends for readers, by the broker's last answer; None before its first."""
    # Not the high water mark: what an open transaction holds cannot be read.
    end: int | None = consumer.last_stable_offset(tp)
    if end is None or end < 0:
        end = consumer.highwater(tp)
    return end
