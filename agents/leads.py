"""Leads: the sides from which a model is asked what a shopper will want next.

One question about everything gets four answers to the loudest thing in it. Asked from several sides, each with its own
instruction and only what is known from there, a model answers differently without being told to vary:

=============  =======================================================  ==========================  ============
lead           what it is told                                          applies to                  kind
=============  =======================================================  ==========================  ============
``recent``     usual categories, preferences of late, the recent acts   everybody                   complement
``long-term``  portrait, ledger, usual categories, long preferences     who bought before           complement
``potential``  usual categories, what the like went on to want          who has their like          explore
``trend``      usual categories, long preferences, trends on offer      who is offered a trend      trend
=============  =======================================================  ==========================  ============

All leads of all shoppers of a batch are one batch for the model. The answers of a shopper take turns: the first of each lead,
then the second of each. What two leads say is one demand, with the evidence of both. Which leads there are, is
``agents.leads``; the instructions are the prompt's (``agents.prompts``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from agents.demand import Kind
from agents.distill.form import PROMPT as OF_STUDENTS
from agents.preference import Horizon
from agents.profile import Profile, render
from agents.shopper import Background

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.prompts import Prompt
    from agents.shopper import Shopper

__all__ = ["LEDGER", "Lead", "Side", "instructions", "kind_of", "sides"]

LEDGER: Final = "ledger"
"""The evidence of a demand that rests on the weeks of the ledger and on nothing more exact."""

_TREND: Final = "trend:"
_POTENTIAL: Final = f"preference:{Horizon.POTENTIAL}:"


class Lead(StrEnum):
    """A side from which a model is asked."""

    RECENT = "recent"
    """What the shopper did last."""
    LONG_TERM = "long-term"
    """What the shopper bought over the year, and prefers."""
    POTENTIAL = "potential"
    """What similar shoppers went on to want."""
    TREND = "trend"
    """What is asked for now in the shopper's categories."""


_KINDS: Final = {
    Lead.RECENT: Kind.COMPLEMENT,
    Lead.LONG_TERM: Kind.COMPLEMENT,
    Lead.POTENTIAL: Kind.EXPLORE,
    Lead.TREND: Kind.TREND,
}


@dataclass(frozen=True, slots=True)
class Side:
    """What a model is told of a shopper at once: under a lead, or (None) everything together."""

    lead: Lead | None
    profile: Profile


def sides(shopper: Shopper, budget: int, wanted: Mapping[Lead, str]) -> tuple[Side, ...]:
    """The sides to ask from, in the order of ``wanted``; one with everything if there are none.

    Leads of which nothing is known are left out; where that leaves none, the shopper is asked about by the recent acts.

    Args:
        shopper: With the background that the leads draw on.
        budget: Most characters of each side's acts and categories, see `agents.profile.render`.
        wanted: The instruction of each lead, in one line.
    """
    if not wanted:
        return (Side(None, render(shopper, budget)),)
    told = [Side(lead, _told(lead, shopper, budget, line)) for lead, line in wanted.items()]
    known = tuple(one for one in told if one.profile.text)
    if known:
        return known
    line = wanted.get(Lead.RECENT, "")
    return (Side(Lead.RECENT, _told(Lead.RECENT, shopper, budget, line)),)


def instructions(prompt: Prompt, leads: Iterable[Lead]) -> dict[Lead, str]:
    """The instruction of each lead; none for a student, whose form has no place for them.

    Raises:
        PromptError: the prompt does not know a lead.
    """
    if prompt.version == OF_STUDENTS:
        return {}
    return {lead: prompt.instruction(lead) for lead in leads}


def kind_of(side: Side, evidence: Iterable[str]) -> Kind:
    """What a demand is: by its lead, or, where everything was told together, by the evidence that shares its words."""
    if side.lead is not None:
        return _KINDS[side.lead]
    facts = list(evidence)
    if facts and all(one.startswith((_TREND, _POTENTIAL)) for one in facts):
        return Kind.TREND if any(one.startswith(_TREND) for one in facts) else Kind.EXPLORE
    return Kind.COMPLEMENT


def _told(lead: Lead, shopper: Shopper, budget: int, instruction: str) -> Profile:
    part = _part(lead, shopper)
    if part is None:
        return Profile("", {})
    profile = render(part, budget)
    if not profile.text:
        return profile
    text = f"{instruction}\n{profile.text}" if instruction else profile.text
    facts = profile.facts
    if lead is Lead.TREND:
        facts = {label: ids for label, ids in facts.items() if ids[0].startswith(_TREND)} or facts
    elif lead is Lead.LONG_TERM and not facts:
        facts = dict.fromkeys(_usual(shopper), (LEDGER,))
    return replace(profile, text=text, facts=facts)


def _part(lead: Lead, shopper: Shopper) -> Shopper | None:
    """The shopper with what the lead may see; None where it has nothing to see."""
    known = shopper.background or Background()
    by = {horizon: tuple(one for one in known.preferences if one.horizon is horizon) for horizon in Horizon}
    if lead is Lead.RECENT:
        return replace(shopper, background=Background(preferences=by[Horizon.RECENT]))
    shown: Background | None = None
    if lead is Lead.LONG_TERM and (by[Horizon.LONG] or shopper.ledger):
        shown = Background(known.portrait, known.history, by[Horizon.LONG])
    elif lead is Lead.POTENTIAL and by[Horizon.POTENTIAL]:
        shown = Background(preferences=by[Horizon.POTENTIAL])
    elif lead is Lead.TREND and known.trends:
        shown = Background(preferences=by[Horizon.LONG], trends=known.trends)
    return None if shown is None else replace(shopper, recent=(), background=shown)


def _usual(shopper: Shopper) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*shopper.categories, *(line.category for line in shopper.ledger))))
