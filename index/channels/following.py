"""What is bought next: weights from what shoppers had to what was new to them on their next day.

EASE^R learns what stands together in whole histories, in either direction and at any distance. These weights look one
way: each invoice day with something new, but a shopper's first, is a line of a ridge regression from the purchases before it, decayed as for
EASE^R, to the items that the shopper bought on it for the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.behaviour import HALF_LIFE, LAMBDA
from index.channels.purchases import DAY_MS
from index.channels.sparse import sparse_rows
from index.errors import CatalogError

if TYPE_CHECKING:
    from index.channels.channel import Scores
    from index.channels.purchases import Purchases

__all__ = ["next_weights"]

_MOST: Final = 6_000
"""Days learnt from, the latest; beyond, older ones add time and little else."""

_FADING: Final = 120.0


def next_weights(
    history: Purchases,
    now: int,
    *,
    regularisation: float = LAMBDA,
    half_life: float = HALF_LIFE,
    most: int = _MOST,
) -> Scores:
    """(items, items) W = (XᵀX + λI)⁻¹ XᵀY; row i is what having i says of each item to come.

    X holds for each day, of every item the shopper had, 0.5 ** (a / half-life) with a the invoice days between; Y holds 1 for what
    was new. A day counts 0.5 ** (its age / 120 days).

    Args:
        history: The order lines before ``now``.
        now: UTC milliseconds.
        regularisation: λ, above 0.
        half_life: In invoice days of the shopper.
        most: Days learnt from at most, the latest.

    Raises:
        CatalogError: If scipy is not installed, or λ is not above 0 or too small.
    """
    if not regularisation > 0:
        raise CatalogError(
            f"What is bought next has the regularisation {regularisation}.",
            way_out="Give a number above 0, such as 300.",
        )
    items = len(history.items)
    everyone = history.histories(np.arange(len(history.users)), now)
    # Number of each entry's day among its shopper's, from 0, and of the shopper's last day.
    last = np.zeros(everyone.count, dtype=np.int64)
    np.maximum.at(last, everyone.shopper, everyone.ago)
    number = last[everyone.shopper] - everyone.ago
    base = np.cumsum(np.r_[0, last])  # a shopper's lines: one a day but the first
    lines = int(base[-1])
    # An entry is a shopper's latest of its item up to and on the day of the next one.
    order = np.lexsort((number, everyone.item, everyone.shopper))
    who, what, when = everyone.shopper[order], everyone.item[order], number[order]
    same = (np.diff(who) == 0) & (np.diff(what) == 0)
    until = np.where(np.r_[same, False], np.r_[when[1:], 0], last[who])
    times = until - when
    had = np.repeat(np.arange(len(order)), times)
    step = np.arange(len(had)) - np.repeat(np.cumsum(times) - times, times)
    line = base[who[had]] + when[had] + step
    new = ~np.r_[False, same] & (when > 0)

    day = np.zeros(lines, dtype=np.int64)
    counted = number > 0
    day[base[everyone.shopper[counted]] + number[counted] - 1] = everyone.day[counted]
    weight = np.sqrt(0.5 ** ((now / DAY_MS - day) / _FADING))
    target = base[who[new]] + when[new] - 1
    teaching = np.flatnonzero(np.bincount(target, minlength=lines))
    if not len(teaching):
        return np.zeros((items, items), dtype=np.float32)
    latest = teaching[np.argsort(-day[teaching], kind="stable")[:most]]
    place = np.full(lines, -1, dtype=np.int64)
    place[latest] = np.arange(len(latest))

    value = (weight[line] * 0.5 ** (step / half_life)).astype(np.float32)
    kept = place[line] >= 0
    x = sparse_rows((value[kept], (place[line[kept]], what[had[kept]])), (len(latest), items))
    kept = place[target] >= 0
    y = sparse_rows(
        (weight[target[kept]].astype(np.float32), (place[target[kept]], what[new][kept])),
        (len(latest), items),
    )
    return _ridge(x.toarray(), (x.T @ y).toarray(), regularisation)


def _ridge(x: Scores, xy: Scores, regularisation: float) -> Scores:
    from scipy.linalg.blas import ssyrk  # noqa: PLC0415 - as in `sparse`
    from scipy.linalg.lapack import sposv  # noqa: PLC0415

    there = np.flatnonzero(x.any(axis=0))
    weights = np.zeros(xy.shape, dtype=np.float32)
    gram = ssyrk(1.0, np.asfortranarray(x[:, there]), trans=1, lower=1)
    gram[np.diag_indices_from(gram)] += np.float32(regularisation)
    _, solved, failed = sposv(gram, np.asfortranarray(xy[there]), lower=1, overwrite_a=1, overwrite_b=1)
    if failed:
        raise CatalogError(
            f"What is bought next cannot be solved with the regularisation {regularisation}.",
            way_out="Give a larger one, such as 300.",
        )
    weights[there] = solved
    return weights
