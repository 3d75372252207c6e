"""What is said where Redis and the broker do not fit together: one of them has lost what the other tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import TopicPartition

__all__ = ["broker_lost", "state_lost"]

_CHOICES = (
    "Choose with stream.gate.lost_state: `earliest` reads the topics again from their earliest event (shoppers' "
    "state is rebuilt, triggers of the past fire again), `committed` goes on where the group stood with empty "
    "state. Or restore the data that is missing."
)


def state_lost(number: int, events: int) -> CheckpointError:
    """Redis has no checkpoint of a partition of which ``events`` events were read."""
    return CheckpointError(
        f"Redis has no checkpoint of partition {number}, but the gate has read {events} events of it: "
        "Redis lost its data, or this is another Redis.",
        way_out=_CHOICES,
    )


def broker_lost(partitions: Mapping[TopicPartition, int]) -> CheckpointError:
    """The broker has no events at these offsets of the checkpoint."""
    names = ", ".join(f"{tp.topic}-{tp.partition} offset {offset}" for tp, offset in partitions.items())
    return CheckpointError(
        f"The checkpoint in Redis points where the broker has no events: {names}. The broker lost its "
        "data, its retention has passed the checkpoint, or this is another broker.",
        way_out=_CHOICES,
    )
