"""Trends: what texts ask for now, as queries; each with its sources and its age."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.judge.terms import terms
from agents.trends.points import points

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from agents.trends.document import Document
    from agents.trends.topics import Encoder, Topics

__all__ = ["HALF_LIFE_DAYS", "Mined", "Trend", "mine", "offer"]

HALF_LIFE_DAYS: Final = 14.0
"""After so many days a trend counts half."""

_DAY_MS: Final = 86_400_000
_MERGED: Final = 0.82
_RELEVANT: Final = 0.30
_POINTS_EACH: Final = 5


@dataclass(frozen=True, slots=True)
class Trend:
    """One thing that texts speak of.

    Attributes:
        query: The phrase that stands for it: of those merged, the one in most documents, then the shortest.
        category: The shop's category that it is nearest to.
        likeness: Cosine of the query and that category.
        phrases: All phrases merged into it, the query first.
        sources: Ids of the documents, the newest first.
        first: When the oldest of them was published, UTC milliseconds.
        last: When the newest was.
    """

    query: str
    category: str
    likeness: float
    phrases: tuple[str, ...]
    sources: tuple[str, ...]
    first: int
    last: int

    def age_days(self, now: int) -> float:
        """Days since the newest source, never below 0; ``now`` is UTC milliseconds."""
        return max(0.0, (now - self.last) / _DAY_MS)

    def weight(self, now: int) -> float:
        """log2(1 + documents), halved every `HALF_LIFE_DAYS` since the newest."""
        return math.log2(1 + len(self.sources)) * math.exp2(-self.age_days(now) / HALF_LIFE_DAYS)


@dataclass(frozen=True, slots=True)
class Mined:
    """Trends by weight, the heaviest first; and the ids of documents that speak of nothing the shop has, or twice."""

    trends: tuple[Trend, ...]
    irrelevant: tuple[str, ...]
    repeated: tuple[str, ...]


def mine(
    documents: Sequence[Document],
    topics: Topics,
    encoder: Encoder,
    *,
    now: int,
    relevant: float = _RELEVANT,
    merged: float = _MERGED,
    named: Callable[[Document], Sequence[str]] = points,
) -> Mined:
    """Mine trends from documents.

    A phrase is cut after its last word that is the shop's (`Topics.known`) and kept if its cosine to a category reaches
    ``relevant``; a category that
    the document names and the shop has is taken as it is. Phrases whose cosine to a trend's query reaches ``merged`` are one
    trend: the phrases go one by one, those of most documents first, to the nearest trend or begin one (leader
    clustering; Hartigan, "Clustering Algorithms", 1975, chapter 3). Equal documents count once.

    Args:
        documents: In any order; the result does not depend on it.
        topics: The shop's categories.
        encoder: That made the topics.
        now: UTC milliseconds; documents of later are left out, as irrelevant.
        relevant: Least cosine to a category.
        merged: Least cosine of phrases that are one.
        named: The selling points of a document; by code if not given.
    """
    once: dict[str, Document] = {}
    repeated = []
    for document in sorted(documents, key=lambda one: (one.ts, one.document_id)):
        if document.document_id in once:
            repeated.append(document.document_id)
        else:
            once[document.document_id] = document
    holders: dict[str, list[Document]] = {}
    for document in once.values():
        if document.ts <= now:
            for phrase in topics.known(named(document))[:_POINTS_EACH]:
                holders.setdefault(phrase, []).append(document)
    phrases = sorted(holders, key=lambda one: (-len(holders[one]), len(one), one))
    if not phrases:
        return Mined((), tuple(once), tuple(repeated))
    vectors = encoder.encode(phrases)
    placed = topics.nearest(vectors)
    kept = []
    for at, phrase in enumerate(phrases):
        own = next((one.category for one in holders[phrase] if one.category in topics.names), "")
        category, likeness = (own, max(placed[at][1], relevant)) if own else placed[at]
        if likeness >= relevant:
            kept.append((at, phrase, category, likeness))
    trends = _trends(kept, vectors, holders, merged)
    spoken = {source for trend in trends for source in trend.sources}
    return Mined(
        tuple(sorted(trends, key=lambda one: (-one.weight(now), one.query))),
        tuple(one for one in once if one not in spoken),
        tuple(repeated),
    )


def offer(
    trends: Sequence[Trend],
    preferences: Mapping[str, float],
    *,
    now: int,
    known: Sequence[str] = (),
    limit: int = 3,
) -> list[Trend]:
    """The trends that meet a shopper's preferences, the best first, at most two of a category.

    A trend is worth its weight times the preference's share. Where the shopper did something with all its words already,
    it is nothing new and is left out.

    Args:
        trends: As mined.
        preferences: Categories with their weights, above 0; from the shopper's portrait or ledger.
        now: UTC milliseconds.
        known: The titles and searches of the shopper's acts.
        limit: The most wanted.
    """
    whole = sum(weight for weight in preferences.values() if weight > 0)
    met = [terms(text) for text in known]
    worth = {
        trend: trend.weight(now) * preferences[trend.category] / whole
        for trend in trends
        if preferences.get(trend.category, 0.0) > 0 and not any(terms(trend.query) <= words for words in met)
    }
    found: list[Trend] = []
    for trend in sorted(worth, key=lambda one: (-worth[one], one.query)):
        if sum(one.category == trend.category for one in found) < 2:
            found.append(trend)
        if len(found) == limit:
            break
    return found


def _trends(
    kept: Sequence[tuple[int, str, str, float]],
    vectors: npt.NDArray[np.float32],
    holders: Mapping[str, Sequence[Document]],
    merged: float,
) -> list[Trend]:
    leaders: list[tuple[int, str, float]] = []
    members: list[list[str]] = []
    for at, phrase, category, likeness in kept:
        near = vectors[[one for one, _, _ in leaders]] @ vectors[at] if leaders else np.zeros(0)
        best = int(near.argmax()) if len(near) else -1
        if best >= 0 and near[best] >= merged:
            members[best].append(phrase)
        else:
            leaders.append((at, category, likeness))
            members.append([phrase])
    made = []
    for (_, category, likeness), phrases in zip(leaders, members, strict=True):
        sources = {one.document_id: one for phrase in phrases for one in holders[phrase]}
        ordered = sorted(sources.values(), key=lambda one: (-one.ts, one.document_id))
        made.append(
            Trend(
                query=phrases[0],
                category=category,
                likeness=likeness,
                phrases=tuple(phrases),
                sources=tuple(one.document_id for one in ordered),
                first=ordered[-1].ts,
                last=ordered[0].ts,
            )
        )
    return made
