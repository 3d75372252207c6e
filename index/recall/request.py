"""What recall is asked, and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from index.errors import CatalogError

if TYPE_CHECKING:
    from index.demand_weights.weights import Evidence

__all__ = ["Act", "Candidate", "Channel", "Query", "RecallRequest", "RecallResult"]

Channel = Literal["dense", "lexical", "behaviour", "popular", "new"]


@dataclass(frozen=True, slots=True)
class Query:
    """One thing a user may want, in words.

    Attributes:
        text: What to look for.
        weight: How much its lists count against the user's other ones, beside the evidence; above 0.
        why: The evidence for it in words, passed on to the candidates it brings.
        evidence: What is known for it; with it, demands are weighed against one another.
    """

    text: str
    weight: float = 1.0
    why: str = ""
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise CatalogError(
                f"The query {self.text[:80]!r} has the weight {self.weight}.",
                way_out="Give a finite weight above 0.",
            )


@dataclass(frozen=True, slots=True)
class Act:
    """An item that the user took up, and how much it says of what they want: by what they did, and how long ago."""

    item: str
    weight: float


@dataclass(frozen=True, slots=True)
class RecallRequest:
    """What one user's slate is to be made from.

    Attributes:
        queries: The user's demands. Blank ones are passed over; equal ones count once, with their weights added.
        exclude: Ids of items to leave out, such as what was just bought.
        categories: The user's categories, the most important first.
        limit: The most candidates wanted; as the settings say if None.
        per_query: Length of each query's lists; ``limit`` if that is more, and as the settings say if None.
        acts: What the user took up, each item once.
        user: The user's id, and ``version`` the number of their slate: they decide its places for discovery.
    """

    queries: tuple[Query, ...] = ()
    exclude: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    limit: int | None = None
    per_query: int | None = None
    acts: tuple[Act, ...] = ()
    user: str = ""
    version: int = 0


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An item that may be shown, and why.

    Attributes:
        item: The item's id.
        score: The sum of ``parts``; scores fall from candidate to candidate of a slate.
        query: The query that contributes most; None where no query found the item.
        why: That query's evidence, or in a few words how the item came in, by its channel.
        channel: The channel with the largest part.
        ranks: The item's best place, from 1, in the lists of each query that found it; empty where it is not recorded.
        parts: What the score is made of: channels, then ``model`` (what the ranker says above or below them),
            ``likeness`` (taken off for being like candidates above) and ``discovery`` (what lifted it to a place kept
            for discovery). Rounded to millionths; those that are 0 are left out. Empty where they are not recorded.
        features: The values of `index.ranking.live.LIVE_FEATURES`, None where unknown; empty where nothing was ranked or
            they are not recorded.
    """

    item: str
    score: float
    query: str | None
    why: str
    channel: Channel
    ranks: dict[str, int] = {}
    parts: dict[str, float] = {}
    features: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class RecallResult:
    """The candidates of a batch, in the order of its requests.

    Attributes:
        candidates: For each request its candidates, best first.
        best: For each request the similarity, from -1 to 1, of the catalogue's nearest text to each of its queries:
            how well the catalogue can answer the query at all. Exclusions do not matter to it.
        demands: For each request by query its weight and what the logarithm of the weight is made of; empty where it is not
            recorded.
        pools: For each request what was chosen from: candidates by channel, ``all`` together, and by reason what
            was left out.
        encode_ms: Milliseconds in the encoder, for the whole batch.
        search_ms: Milliseconds in the indexes of vectors and of words.
        fuse_ms: Milliseconds in the other channels, in ranking and in making the candidates.
    """

    candidates: list[list[Candidate]]
    best: list[dict[str, float]]
    demands: list[dict[str, dict[str, float]]]
    pools: list[dict[str, int]]
    encode_ms: float
    search_ms: float
    fuse_ms: float
