"""Which of the candidates of a batch of users go on to the next stage. Pure, over arrays of all users' candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from index.ranking.diversity import FLOOR

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.recall.channel import Values

__all__ = ["largest", "within_reach"]

_SLACK: Final = 1e-4
"""For vectors in single precision, whose cosines may lie a little above 1."""


def largest(
    owner: npt.NDArray[np.int64], values: Values, most: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """(m,) which are among the largest values of their owner; of equal ones the first.

    Args:
        owner: (m,) rising.
        values: (m,) finite.
        most: (owners,) how many of each owner's.
    """
    many = np.bincount(owner, minlength=len(most))
    chosen = values >= _edges(owner, values, many, most)[owner]
    over = np.bincount(owner[chosen], minlength=len(most)) - most
    if (over > 0).any():
        edge = _edges(owner, values, many, most)
        equal = np.flatnonzero(chosen & (values == edge[owner]) & (over > 0)[owner])
        # The last of the equal ones are too many.
        count = np.bincount(owner[equal], minlength=len(most))
        place = np.arange(len(equal)) - (np.cumsum(count) - count)[owner[equal]]
        chosen[equal[place >= (count - over)[owner[equal]]]] = False
    return chosen


def within_reach(
    owner: npt.NDArray[np.int64],
    values: Values,
    wanted: npt.NDArray[np.bool_],
    limits: npt.NDArray[np.int64],
    kept: npt.NDArray[np.int64],
    strength: float,
) -> npt.NDArray[np.int64]:
    """The places of the candidates that can come into a slate without caps.

    While a slate of n places has room, one of its n most relevant candidates is not taken, and it has lost at most what the
    greatest likeness costs. What is less relevant than the last of them less that comes only by a place kept for
    discovery; and of these the same holds for the candidates that count for it.

    Args:
        owner: (m,) rising.
        values: (m,) the candidates' relevance.
        wanted: (m,) which count for discovery.
        limits: (owners,) the slates' places.
        kept: (owners,) the places kept for discovery.
        strength: What likeness costs.
    """
    cost = strength * (1.0 - FLOOR) + _SLACK
    edge = _edges(owner, values, np.bincount(owner, minlength=len(limits)), limits) - cost
    also = np.flatnonzero(wanted)
    many = np.bincount(owner[also], minlength=len(limits))
    least = np.where(kept > 0, _edges(owner[also], values[also], many, np.maximum(kept, 1)) - cost, np.inf)
    return np.flatnonzero((values >= edge[owner]) | (wanted & (values >= least[owner])))


def _edges(
    owner: npt.NDArray[np.int64],
    values: Values,
    many: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
) -> Values:
    """(owners,) the ``most``-th largest value of each owner's ``many``; -inf where there are not as many, inf for none."""
    edges = np.full(len(most), -np.inf)
    edges[most <= 0] = np.inf
    cut = np.flatnonzero((many >= most) & (most > 0))
    if not len(cut):
        return edges
    row = np.full(len(most), -1, dtype=np.int64)
    row[cut] = np.arange(len(cut))
    table = np.full((len(cut), int(many[cut].max())), np.inf)
    mine = np.flatnonzero(row[owner] >= 0)
    table[row[owner[mine]], mine - (np.cumsum(many) - many)[owner[mine]]] = -values[mine]
    for one in np.unique(most[cut]).tolist():
        which = np.flatnonzero(most[cut] == one)
        edges[cut[which]] = -np.partition(table[which], one - 1, axis=1)[:, one - 1]
    return edges
