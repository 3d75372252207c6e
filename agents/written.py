"""What a model wrote for one shopper, under one lead or several, as demands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from agents.demand import Demand, Rejected, clean
from agents.errors import BadAnswer, GenerationError
from agents.leads import kind_of
from agents.words import bag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.leads import Side
    from agents.profile import Profile
    from agents.runtime.protocol import Generation
    from agents.structured import Structure

__all__ = ["Bounds", "Written", "read"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a query may be.

    Attributes:
        structure: The answers' schema.
        examples: Queries of the prompt, which are nobody's.
        longest: Characters of a query.
        most: Demands of a shopper.
        titles: Whether what is written are titles of the catalogue, which may have any number of words.
    """

    structure: Structure
    examples: tuple[str, ...]
    longest: int
    most: int
    titles: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a shopper's answers.

    Attributes:
        demands: Cleaned; the first of each lead, then the second of each.
        rejected: What cleaning took out, without what another lead said before.
        faults: Why an answer gave nothing, with its lead where there are several.
        prompt_tokens: Read, of all answers.
        output_tokens: Written, of all answers.
        raw: The answers as they came, a line each.
    """

    demands: tuple[Demand, ...]
    rejected: tuple[Rejected, ...]
    faults: tuple[str, ...]
    prompt_tokens: int
    output_tokens: int
    raw: str


@dataclass(slots=True)
class _Query:
    text: str
    side: Side
    confidence: float | None


def read(
    sides: Sequence[Side],
    answers: Sequence[Generation | GenerationError],
    inputs: Sequence[str],
    bounds: Bounds,
) -> Written:
    """The demands in the answers to the sides of one shopper.

    Args:
        sides: What the model was told.
        answers: Of each side, in order.
        inputs: What the shopper did, which is nothing new.
        bounds: What a query may be.
    """
    lists: list[list[_Query]] = []
    faults: list[str] = []
    given = [one for one in answers if not isinstance(one, GenerationError)]
    for side, answer in zip(sides, answers, strict=True):
        named = f"{side.lead}: " if side.lead is not None else ""
        if isinstance(answer, GenerationError):
            faults.append(f"{named}{answer.message}")
            continue
        try:
            texts = bounds.structure.parse(answer.text)
        except BadAnswer as error:
            faults.append(f"{named}{error.message}")
            continue
        sure = answer.confidences or ()
        lists.append(
            [_Query(text, side, sure[at] if at < len(sure) else None) for at, text in enumerate(texts)]
        )
    turns = [one for turn in zip_longest(*lists) for one in turn if one is not None]
    again = _merged(turns) if len(lists) > 1 else {}
    asked = [one for at, one in enumerate(turns) if at not in again]
    kept, rejected = clean(
        [one.text for one in asked],
        inputs=inputs,
        examples=bounds.examples,
        longest=bounds.longest,
        most=bounds.most,
        titles=range(len(asked)) if bounds.titles else (),
    )
    said = {id(side): _said(side.profile) for side in sides}
    others: dict[int, list[_Query]] = {}
    for at, first in again.items():
        others.setdefault(id(turns[first]), []).append(turns[at])
    return Written(
        tuple(_demand(query, [asked[at], *others.get(id(asked[at]), ())], said) for at, query in kept),
        tuple(rejected),
        tuple(faults),
        sum(one.prompt_tokens for one in given),
        sum(one.output_tokens for one in given),
        "\n".join(one.text for one in given),
    )


def _merged(turns: Sequence[_Query]) -> dict[int, int]:
    """Of each query that another lead wrote before, in other order or form of its words: where that one is."""
    first: dict[tuple[str, ...], int] = {}
    again: dict[int, int] = {}
    for at, one in enumerate(turns):
        asked = bag(one.text)
        before = first.setdefault(asked, at)
        if asked and turns[before].side is not one.side:
            again[at] = before
    return again


_Said = list[tuple[tuple[str, ...], tuple[str, ...]]]


def _demand(query: str, wrote: Sequence[_Query], said: dict[int, tuple[_Said, _Said]]) -> Demand:
    """One demand of all who wrote it; its kind is that of the first."""
    proofs = [_evidence(query, *said[id(one.side)]) for one in wrote]
    sure = [one.confidence for one in wrote if one.confidence is not None]
    leads = [one.side.lead for one in wrote if one.side.lead is not None]
    return Demand(
        query,
        kind_of(wrote[0].side, proofs[0]),
        tuple(dict.fromkeys(proof for proofs_of in proofs for proof in proofs_of)),
        max(sure, default=None),
        leads=tuple(dict.fromkeys(leads)),
    )


def _said(profile: Profile) -> tuple[_Said, _Said]:
    """The words of each label with what it stands for: events, then facts."""
    return (
        [(bag(label), ids) for label, ids in profile.evidence.items()],
        [(bag(label), ids) for label, ids in profile.facts.items()],
    )


def _evidence(query: str, events: _Said, facts: _Said) -> tuple[str, ...]:
    """The events that share a word with the query, else the facts that do; all that the model saw where none does."""
    asked = frozenset(bag(query))
    near: list[tuple[str, ...]] = []
    for known in (events, facts):
        near = near or [ids for label, ids in known if not asked.isdisjoint(label)]
    near = near or [ids for _, ids in events or facts]
    return tuple(dict.fromkeys(one for ids in near for one in ids))
