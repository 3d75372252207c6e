"""Demands: what a shopper will want next, as search queries, cleaned of what is no demand."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from agents.words import bag, normal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

__all__ = ["MOST_DEMANDS", "Demand", "DemandSet", "Kind", "Reason", "Rejected", "Rung", "clean"]

MOST_DEMANDS = 5
_MOST_WORDS = 8
_LETTER_RUNS = re.compile(r"[^\W\d_]{2,}")


class Rung(StrEnum):
    """Which step of the ladder a result came from."""

    LLM = "llm"
    """The model wrote the demands for this trigger."""
    CACHED = "cached"
    """The model wrote them for an earlier trigger of the shopper."""
    PREFERENCE = "preference"
    """Code wrote them from the shopper's categories and recent titles."""
    POPULAR = "popular"
    """There are none; the shop's popular items stand in."""


class Kind(StrEnum):
    """What a demand is to the shopper."""

    EXPLICIT = "explicit"
    """Said by the shopper: a search, or a title looked at in this visit."""
    COMPLEMENT = "complement"
    """Goes with what the shopper does or is used to."""
    TREND = "trend"
    """Asked for by many now, and of the shopper's categories."""
    EXPLORE = "explore"
    """What similar shoppers went on to want and this one does not know yet."""
    PREFERENCE = "preference"
    """A title last looked at or a usual category, where code stands in for the model."""


class Reason(StrEnum):
    """Why a query of the model is no demand."""

    EMPTY = "empty"
    """Nothing in it."""
    NO_WORD = "no word"
    """Only digits, punctuation or single letters."""
    TOO_LONG = "too long"
    """More words or characters than a search has."""
    DUPLICATE = "duplicate"
    """The same as an earlier one but for case, punctuation or plural."""
    COPY = "copy of the input"
    """A title or search of the shopper, given back."""
    EXAMPLE = "copy of an example"
    """A query out of the prompt's own examples."""
    SURPLUS = "more than asked for"
    """Beyond the number that recall takes."""
    JUDGED = "judged"
    """The judge's score was too low; what spoke against it follows."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing wanted. ``kind`` is one of `Kind`.

    ``evidence`` are the ids of the events that speak for it, and of facts: ``preference:…``, ``trend:…``, ``ledger``.
    ``confidence`` is the model's mean probability of its pieces, 0 to 1, where the runtime knows it; ``judged`` the
    judge's score, 0 to 1, where there is a judge. ``leads`` are the leads (`agents.leads`) under which the model wrote
    it, where it was asked by leads. ``asked`` is the shopper's own spelling of a search that was mended.
    """

    query: str
    kind: str
    evidence: tuple[str, ...]
    confidence: float | None
    judged: float | None = None
    leads: tuple[str, ...] = ()
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A query that the model wrote and cleaning or the judge removed, with the reason and the judge's score."""

    query: str
    reason: str
    judged: float | None = None


@dataclass(frozen=True, slots=True)
class DemandSet:
    """What inference came to for one shopper, with everything needed to explain it.

    ``prompt`` is the shopper's own part, of each lead where the model was asked by leads, with an empty line between;
    ``raw_output`` has a line of each. The part that never changes is named by ``prompt_version``.
    ``timings_ms`` has ``profile``, ``model`` and ``judge`` (the whole batch's calls) and ``clean``. ``note`` has the
    reason of every step down the ladder. ``categories`` are the shopper's, for the last rung.
    """

    user_id: str
    demands: tuple[Demand, ...]
    rejected: tuple[Rejected, ...]
    rung: Rung
    prompt_version: str
    model: str
    runtime: str
    prompt_tokens: int = 0
    output_tokens: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)
    prompt: str = ""
    raw_output: str = ""
    note: str = ""
    categories: tuple[str, ...] = ()


def clean(
    queries: Sequence[str],
    *,
    inputs: Iterable[str] = (),
    examples: Iterable[str] = (),
    longest: int = 80,
    most: int = MOST_DEMANDS,
    titles: Container[int] = (),
) -> tuple[list[tuple[int, str]], list[Rejected]]:
    """Split queries into demands, as (index, query), and rejected ones.

    Phrases are compared by ``agents.words.normal``, so case, punctuation and plural do not tell them
    apart, nor does the order of words. At most ``most`` are kept. A search has at most eight words, but those whose
    indexes are in ``titles`` are the catalogue's own phrases and may have any number; ``longest`` characters bound all.
    """
    copied = {bag(text) for text in inputs}
    shown = _bags(tuple(examples))
    seen: set[tuple[str, ...]] = set()
    kept: list[tuple[int, str]] = []
    rejected: list[Rejected] = []
    for index, raw in enumerate(queries):
        query = _tidy(raw)
        asked = bag(query)
        reason: Reason | None = None
        if not query:
            reason = Reason.EMPTY
        elif not asked or not _LETTER_RUNS.search(normal(query)):
            reason = Reason.NO_WORD
        elif len(query) > longest or (len(asked) > _MOST_WORDS and index not in titles):
            reason = Reason.TOO_LONG
        elif asked in seen:
            reason = Reason.DUPLICATE
        elif asked in copied:
            reason = Reason.COPY
        elif asked in shown:
            reason = Reason.EXAMPLE
        elif len(kept) == most:
            reason = Reason.SURPLUS
        if reason is None:
            seen.add(asked)
            kept.append((index, query))
        else:
            rejected.append(Rejected(raw[:longest], reason.value))
    return kept, rejected


@lru_cache(64)
def _bags(texts: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset([bag(text) for text in texts])


def _tidy(text: str) -> str:
    visible = text
    if not text.isprintable():
        visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join((visible if visible.isascii() else unicodedata.normalize("NFC", visible)).split())
