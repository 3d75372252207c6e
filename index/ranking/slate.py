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
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from index.encoders.encoder import Vectors

__all__ = ["Arranged", "Pool", "Position", "Scorer", "arrange", "arrange_all", "coarse", "rank", "shortlist"]

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


@dataclass(frozen=True, slots=True)
class Arranged:
    """A slate as arrays, position by position.

    Attributes:
        at: (k,) the candidates' places in the pool.
        likeness: (k,) what is taken off for being like positions above, 0 or more.
        discovery: (k,) what lifted it to a place kept for discovery, 0 or more.
        kept: (k,) whether it fills one of the places kept for discovery.
    """

    at: npt.NDArray[np.int64]
    likeness: npt.NDArray[np.float64]
    discovery: npt.NDArray[np.float64]
    kept: npt.NDArray[np.bool_]


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
    (made,) = arrange_all(
        [pool], [limit], caps=caps, places=[places], head=head, strength=strength, floor=floor
    )
    slate = []
    for at, likeness, discovery, kept in zip(
        made.at.tolist(), made.likeness.tolist(), made.discovery.tolist(), made.kept.tolist(), strict=True
    ):
        parts = {name: float(part[at]) for name, part in pool.parts.items()}
        parts["likeness"] = -likeness
        parts["discovery"] = discovery
        slate.append(Position(at, sum(parts.values()), parts, kept))
    return slate


def arrange_all(
    pools: Sequence[Pool],
    limits: Sequence[int],
    *,
    places: Sequence[int],
    caps: Mapping[str, int] | None = None,
    head: int = HEAD,
    strength: float = STRENGTH,
    floor: float = FLOOR,
) -> list[Arranged]:
    """Fill n slates at once, each as `arrange` does: place after place, all slates' places together.

    Args:
        pools: The candidates of each slate.
        limits: Places of each.
        places: Of each for discovery.
        caps: As in `arrange`.
        head: As in `arrange`.
        strength: As in `arrange`.
        floor: As in `arrange`.

    Raises:
        CatalogError: As `arrange`.
    """
    sizes = np.array([len(pool) for pool in pools], dtype=np.int64)
    many, widest = len(pools), int(sizes.max(initial=0))
    left, wanted = _relevance(pools, sizes)
    cosine = _likeness(pools, widest, strength, floor)
    rooms = [Room(len(pool), pool.groups, caps) for pool in pools] if caps else []
    limit = np.minimum(np.array(limits, dtype=np.int64), sizes)
    share = np.array(places, dtype=np.int64)
    filled = np.zeros(many, dtype=np.int64)
    like, value = np.zeros((many, widest)), np.empty((many, widest))
    # Place by place, so that what each step writes lies together.
    length = int(limit.max(initial=0))
    at_all = np.zeros((length, many), dtype=np.int64)
    likeness, discovery = np.zeros((length, many)), np.zeros((length, many))
    kept = np.zeros((length, many), dtype=bool)
    there = np.arange(length)[:, None] < limit
    needed = due(np.arange(1, length + 1)[:, None], share, limit)
    # Cells count through all slates: to look them up in one dimension takes half the time.
    begin = np.arange(many) * widest
    rows = None if cosine is None else cosine.reshape(many * widest, widest)
    short_of = bool((share > 0).any())
    for here in range(length):
        now = left if here < head or rows is None else np.subtract(left, like, out=value)
        cell = now.argmax(axis=1) + begin
        if rooms:
            there[here] &= now.reshape(-1)[cell] > -np.inf
            if not there[here].any():
                there[here:] = False
                break
        if short_of:
            best = cell.copy()
            kept[here] = _lift(now, wanted, cell, there[here] & (filled < share), filled < needed[here])
            (lifted,) = (cell != best).nonzero()
            if len(lifted):
                flat = now.reshape(-1)
                discovery[here, lifted] = flat[best[lifted]] - flat[cell[lifted]]
            filled += kept[here]
            short_of = bool((filled < share).any())
        at_all[here] = cell - begin
        if here >= head:
            likeness[here] = like.reshape(-1)[cell]
        left.reshape(-1)[cell] = -np.inf
        for number, room in enumerate(rooms):
            if there[here, number]:
                room.take(int(at_all[here, number]))
                left[number, : len(room.open)][~room.open] = -np.inf
        if rows is not None:
            np.maximum(like, rows[cell], out=like)
    return [
        Arranged(at_all[on, one], likeness[on, one], discovery[on, one], kept[on, one])
        for one, on in enumerate(there.T)
    ]


def _relevance(
    pools: Sequence[Pool], sizes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(n, widest) the relevance of each slate's candidates, and which count for discovery.

    What is taken, closed by a cap or beyond a slate's candidates stands at -inf.
    """
    left = np.full((len(pools), int(sizes.max(initial=0))), -np.inf)
    wanted = np.zeros(left.shape, dtype=bool)
    for number, pool in enumerate(pools):
        left[number, : len(pool)] = pool.relevance
        if pool.discovery is not None:
            wanted[number, : len(pool)] = pool.discovery
    if not (np.isfinite(left).sum(axis=1) == sizes).all():
        raise CatalogError(
            "A candidate's relevance is no finite number.", way_out="Leave out candidates without a score."
        )
    return left, wanted


def _lift(
    value: npt.NDArray[np.float64],
    wanted: npt.NDArray[np.bool_],
    cell: npt.NDArray[np.int64],
    room: npt.NDArray[np.bool_],
    due_now: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """(n,) which slates' next place is one of those kept for discovery.

    Where one is due and what comes next does not count for it, ``cell`` is set to the best that does, if any is left.

    Args:
        value: (n, widest) what the candidates left are worth.
        wanted: (n, widest) which count for discovery.
        cell: (n,) what comes next, counted through all slates.
        room: (n,) which slates have places for discovery left.
        due_now: (n,) which of them must fill one now.
    """
    kept = room & wanted.reshape(-1)[cell]
    (short,) = (room & due_now & ~kept).nonzero()
    if len(short):
        eligible = np.where(wanted[short], value[short], -np.inf)
        first = eligible.argmax(axis=1)
        some = eligible[np.arange(len(short)), first] > -np.inf
        short = short[some]
        cell[short] = first[some] + short * value.shape[1]
        kept[short] = True
    return kept


def _likeness(
    pools: Sequence[Pool], widest: int, strength: float, floor: float
) -> npt.NDArray[np.float32] | None:
    """(n, widest, widest) what each candidate costs each other one of its slate; None where likeness costs nothing."""
    if not strength > 0 or all(pool.vectors is None for pool in pools):
        return None
    cosine = np.zeros((len(pools), widest, widest), dtype=np.float32)
    for one, pool in zip(cosine, pools, strict=True):
        if pool.vectors is not None:
            size = len(pool)
            one[:size, :size] = strength * np.maximum(pool.vectors @ pool.vectors.T - floor, 0.0)
    return cosine


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
