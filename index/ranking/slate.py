"""From thousands of candidates to a slate whose every score is a sum of named parts.

::

    candidates ── coarse: one weighted sum ── fine: the ranker on the best few hundred ── arrange ──▶ positions

`arrange` fills place after place with the candidate of the largest value, which is its relevance less its likeness to
what is there already (`index.ranking.diversity`), within the caps, and with discovery's places evenly spread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from index.errors import CatalogError
from index.ranking.discovery import due
from index.ranking.diversity import FLOOR, HEAD, STRENGTH
from index.ranking.limits import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from index.encoders.encoder import Vectors

__all__ = ["Pool", "Position", "Scorer", "arrange", "coarse", "rank", "shortlist"]

_FINE: Final = 200
_ARRANGED: Final = 120


class Scorer(Protocol):
    """The trained model of the fine stage."""

    def score(
        self, features: npt.NDArray[np.float32], owner: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(m,) from 0 to 1 within each owner, from (m, features) and the candidates' owners (m,), rising from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """m candidates of one slate.

    Attributes:
        parts: By name (m,) what makes up the relevance; they add up to it. Finite.
        vectors: (m, d) unit vectors; None leaves likeness out.
        groups: By kind (m,) the number of the group for caps, -1 where unknown.
        discovery: (m,) whether the candidate counts for discovery; None if none does.
    """

    parts: dict[str, npt.NDArray[np.float64]]
    vectors: Vectors | None = None
    groups: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    discovery: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.parts.values()), ()))

    @property
    def relevance(self) -> npt.NDArray[np.float64]:
        """(m,) the sum of the parts."""
        total = np.zeros(len(self))
        for part in self.parts.values():
            total += part
        return total

    def take(self, at: npt.NDArray[np.int64]) -> Pool:
        """The candidates at these places (k,)."""
        return Pool(
            {name: part[at] for name, part in self.parts.items()},
            None if self.vectors is None else self.vectors[at],
            {name: group[at] for name, group in self.groups.items()},
            None if self.discovery is None else self.discovery[at],
        )


@dataclass(frozen=True, slots=True)
class Position:
    """One place of a slate.

    Attributes:
        at: The candidate's place in the pool.
        score: The sum of the parts; scores fall from position to position.
        parts: The pool's parts, ``likeness`` (what was taken off for being like positions above) and ``discovery``
            (what lifted it to a place kept for discovery).
        discovery: Whether it fills one of the places kept for discovery.
    """

    at: int
    score: float
    parts: dict[str, float]
    discovery: bool


def arrange(
    pool: Pool,
    limit: int,
    *,
    caps: Mapping[str, int] | None = None,
    places: int = 0,
    head: int = HEAD,
    strength: float = STRENGTH,
    floor: float = FLOOR,
) -> list[Position]:
    """Fill a slate.

    Candidates that count for discovery and come by their own value count for its places; only where they are too few by
    then is the best of them put before better ones. Where none is left, the places go to others.

    Args:
        pool: The candidates.
        limit: Places of the slate; fewer if candidates or caps end before.
        caps: By kind, how many of one group the slate may have.
        places: Of the slate for discovery, as from `index.ranking.discovery.quota`.
        head: First places for which likeness does not count.
        strength: How much of the likeness is taken off; 0 leaves the order of relevance.
        floor: Cosine up to which nothing is taken off.

    Raises:
        CatalogError: If a part is not finite, or there is a cap for a kind that the pool lacks.
    """
    relevance = pool.relevance
    if not np.isfinite(relevance).all():
        raise CatalogError(
            "A candidate's relevance is no finite number.", way_out="Leave out candidates without a score."
        )
    room = Room(len(pool), pool.groups, caps or {})
    wanted = pool.discovery if pool.discovery is not None else np.zeros(len(pool), dtype=bool)
    limit = min(limit, len(pool))
    likeness = np.zeros(len(pool))
    cosine = None
    if pool.vectors is not None and strength > 0:
        cosine = strength * np.maximum(pool.vectors @ pool.vectors.T - floor, 0.0)
    slate: list[Position] = []
    filled = 0
    for place in range(1, limit + 1):
        value = np.where(room.open, relevance if place <= head else relevance - likeness, -np.inf)
        at = top = int(value.argmax())
        if not room.open[top]:
            break
        kept = False
        if filled < places and wanted[top]:
            kept = True
        elif filled < due(place, places, limit):
            eligible = room.open & wanted
            if eligible.any():
                at, kept = int(np.where(eligible, value, -np.inf).argmax()), True
        parts = {name: float(part[at]) for name, part in pool.parts.items()}
        parts["likeness"] = 0.0 if place <= head else -float(likeness[at])
        parts["discovery"] = float(value[top] - value[at])
        slate.append(Position(at, sum(parts.values()), parts, kept))
        filled += kept
        room.take(at)
        if cosine is not None:
            np.maximum(likeness, cosine[at], out=likeness)
    return slate


def coarse(
    columns: Mapping[str, npt.NDArray[np.floating]], weights: Mapping[str, float]
) -> dict[str, npt.NDArray[np.float64]]:
    """The hand-set model, and the first stage before the ranker: by name weight x column / its largest value.

    Dividing by the largest puts the scores of all channels on one scale, from 0 to 1 (min-max fusion with a minimum of
    0; Fox and Shaw, "Combination of Multiple Searches", TREC-2, 1994). What a channel did not score is NaN and counts 0.

    Args:
        columns: By channel (m,) its scores, larger is better.
        weights: By channel; their sum is taken as 1.

    Raises:
        CatalogError: If no weight is above 0.
    """
    total = sum(weights.get(name, 0.0) for name in columns)
    if not total > 0:
        raise CatalogError(
            f"No channel of {', '.join(columns)} has a weight.", way_out="Weigh at least one of them."
        )
    parts = {}
    for name, column in columns.items():
        score = np.maximum(np.nan_to_num(np.asarray(column, dtype=np.float64)), 0.0)
        parts[name] = score * (weights.get(name, 0.0) / total / max(float(score.max(initial=0.0)), 1e-12))
    return parts


def rank(
    pool: Pool,
    limit: int,
    *,
    features: npt.NDArray[np.float32] | None = None,
    ranker: Scorer | None = None,
    caps: Mapping[str, int] | None = None,
    places: int = 0,
    fine: int = _FINE,
    arranged: int = _ARRANGED,
    strength: float = STRENGTH,
) -> list[Position]:
    """Order m candidates into a slate in two stages.

    The best ``fine`` by the coarse relevance are scored by the ranker; the part ``model`` is what that score is above
    or below the coarse one. The best of each stage go on together with the best that count for discovery.

    Args:
        pool: The candidates, with coarse parts.
        limit: Places of the slate.
        features: (m, d) what the ranker was trained on.
        ranker: The trained model; None orders by the coarse parts.
        caps: As in `arrange`.
        places: As in `arrange`.
        fine: How many the ranker scores.
        arranged: How many places are chosen from; likeness costs the square of it.
        strength: As in `arrange`.
    """
    at = shortlist(pool.relevance, fine, pool.discovery, places)
    short = pool.take(at)
    if ranker is not None and features is not None and len(at):
        score = ranker.score(features[at], np.zeros(len(at), dtype=np.int64))
        short = Pool(
            {**short.parts, "model": score - short.relevance}, short.vectors, short.groups, short.discovery
        )
    few = shortlist(short.relevance, max(arranged, limit), short.discovery, places)
    chosen = arrange(short.take(few), limit, caps=caps, places=places, strength=strength)
    origin = at[few]
    return [Position(int(origin[one.at]), one.score, one.parts, one.discovery) for one in chosen]


def shortlist(
    relevance: npt.NDArray[np.float64], most: int, wanted: npt.NDArray[np.bool_] | None, places: int
) -> npt.NDArray[np.int64]:
    """The places, rising, of the ``most`` largest, and of the largest that count for discovery, twice as many as its places."""
    if len(relevance) <= most:
        return np.arange(len(relevance))
    top = np.argpartition(-relevance, most - 1)[:most]
    if wanted is not None and places:
        also = np.flatnonzero(wanted)
        top = np.concatenate([top, also[np.argsort(-relevance[also], kind="stable")[: 2 * places]]])
    return np.unique(top)
