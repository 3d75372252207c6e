"""What the workers of a replay add to triggers and chains. Both are read as the contracts by whoever knows only those."""

from __future__ import annotations

import msgspec

from stream.slates import Trace
from stream.triggers import Trigger

__all__ = ["Beside", "PlacedTrigger", "ReplayedTrace", "bare_trace", "bare_trigger"]


class PlacedTrigger(Trigger, kw_only=True, gc=False):
    """A trigger with the time of sending, milliseconds, at which its event stands in the order of its partition."""

    place: int = 0


class Beside(msgspec.Struct, frozen=True, array_like=True):
    """What a run keeps beside a chain.

    Attributes:
        variety: different categories in the slate, items of untouched categories, new items.
        together: names the chunk that it was made in.
        stages: milliseconds of the chunk to prepare, infer, encode, search and fuse.
        items: id, title and category of the items shown and touched.
    """

    variety: tuple[int, int, int]
    together: str
    stages: tuple[float, float, float, float, float]
    items: list[tuple[str, str, str]]


class ReplayedTrace(Trace, kw_only=True):
    """A chain with what a run keeps beside it."""

    beside: Beside


def bare_trigger(placed: PlacedTrigger) -> Trigger:
    """The trigger alone."""
    return Trigger(**{name: getattr(placed, name) for name in Trigger.__struct_fields__})


def bare_trace(replayed: ReplayedTrace) -> Trace:
    """The chain alone."""
    return Trace(**{name: getattr(replayed, name) for name in Trace.__struct_fields__})
