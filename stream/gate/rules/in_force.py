"""Which rules are in force in a partition, since where, and how a shopper comes under them.

A partition changes its rules between two batches, with a checkpoint that carries the new version: the
boundary. Events before its offsets were evaluated by the old rules and are never read again; those
after it are evaluated by the new, however often they are read. A shopper comes under them at their
next event: counts of conditions that stayed are kept, counts of new ones are made from the recent
events. Nothing here reads a clock, so a replay that has the boundaries comes to the same state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.gate.rules.conditions import CompiledRules
    from stream.gate.state.activity import Activity

__all__ = ["Boundary", "InForce", "begin", "bring_under", "follow", "generation_at"]


class InForce(msgspec.Struct, frozen=True):
    """The rules of a partition, kept in its checkpoint.

    Attributes:
        version: number in the book of rules; 0 is the rules file.
        digest: the rule set's digest; its text is in the book under it.
        generation: changes of rules in this partition so far.
        since: key of each condition to the generation that it has been in force from.
    """

    version: int
    digest: str
    generation: int
    since: dict[str, int]


class Boundary(msgspec.Struct, frozen=True):
    """Where a partition changed its rules, in ``nl:boundaries:{pN}`` under its generation.

    ``offsets`` are the first ones evaluated by the new rules; a topic that is missing was read from
    its start. ``at`` is wall clock, milliseconds.
    """

    generation: int
    version: int
    digest: str
    offsets: dict[str, int]
    at: int


def generation_at(boundaries: Sequence[Boundary], topic: str, offset: int) -> int:
    """Generation of the rules that evaluated an event; ``boundaries`` ascend in generation."""
    for boundary in reversed(boundaries):
        if offset >= boundary.offsets.get(topic, 0):
            return boundary.generation
    return 0


def begin(rules: CompiledRules) -> InForce:
    """``rules`` as the first ones of a partition."""
    return InForce(rules.number, rules.digest, 0, dict.fromkeys(rules.windows, 0))


def follow(before: InForce, rules: CompiledRules) -> InForce:
    """``rules`` after those in force before: conditions that stayed keep their generation."""
    generation = before.generation + 1
    since = {key: before.since.get(key, generation) for key in rules.windows}
    return InForce(rules.number, rules.digest, generation, since)


def bring_under(
    rules: CompiledRules,
    generation: int,
    since: Mapping[str, int],
    activity: Activity,
    categories: Mapping[str, str],
) -> None:
    """Bring a shopper of an earlier generation under ``rules``, before their event is counted.

    ``categories`` gives the category of an item.
    """
    built = activity.built
    counts = activity.counts
    for slot in list(counts):
        if since.get(slot.partition("|")[0], generation) > built:
            del counts[slot]
    activity.built = generation
    fresh = {key for key, first in since.items() if first > built}
    if fresh and len(activity.recent):
        rules.recount(activity, fresh, categories)
