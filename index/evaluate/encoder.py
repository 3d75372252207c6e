"""How far an encoder reaches from what a shopper would want: titles as queries, ten items each.

For every test shopper of NOVEL (`index.evaluate.slate`) the titles of the five items that EASE^R ranks first among those not
bought are the queries. The encoder recalls ten items for each, out of all that were sold before the cutoff and that the
shopper did not buy. The lists are taken in turns, an item once; so a slate has at most 50 items, and fewer where lists
overlap. Recall@50 of such slates tells what an encoder can make of good demands.

Whether words still count is measured beside it: half of a title's words, at random, must find the title among the first ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.behaviour import Behaviour
from index.channels.channel import best
from index.errors import CatalogError
from index.evaluate.metrics import bootstrap, per_shopper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.channels.purchases import Ints, Purchases
    from index.encoders.encoder import Encoder, Vectors
    from index.evaluate.metrics import Estimate, PerShopper
    from index.evaluate.slate import Task

__all__ = ["Reach", "measure_reach", "measure_words", "slates_of", "wants_of"]

QUERIES: Final = 5
EACH: Final = 10
CUTS: Final = (20, 50)


@dataclass(frozen=True, slots=True)
class Reach:
    """What slates reached.

    Attributes:
        values: By metric, such as ``Recall@50``.
        shopper_values: By metric (n,): for paired comparisons.
        items: Different items in a slate on average.
    """

    values: dict[str, Estimate]
    shopper_values: PerShopper
    items: float


def wants_of(history: Purchases, task: Task) -> Ints:
    """(n, 5) the items that EASE^R ranks first for each test shopper among those on offer and not bought."""
    out = task.shoppers.bought(len(task.offered)) | ~task.offered
    return best(Behaviour.ease(history).score(task.shoppers), QUERIES, out).rows


def slates_of(vectors: Vectors, wants: Ints, task: Task, *, titled: npt.NDArray[np.bool_]) -> Ints:
    """(n, 50) the slates, -1 where one has ended.

    Args:
        vectors: (items, d) unit vectors of the items' titles.
        wants: (n, 5) the items whose titles are asked with; -1 for none.
        task: Shoppers and what is on offer.
        titled: (items,) whether an item has a title; others are neither asked with nor recalled.
    """
    bought = task.shoppers.bought(len(task.offered))
    different, place = np.unique(wants, return_inverse=True)
    place = place.reshape(wants.shape)
    cosines = vectors[different] @ vectors.T
    cosines[:, ~(task.offered & titled)] = -np.inf
    slates = np.full((len(wants), QUERIES * EACH), -1, dtype=np.int64)
    for shopper in range(len(wants)):
        asked = [at for at in range(QUERIES) if wants[shopper, at] >= 0 and titled[wants[shopper, at]]]
        if not asked:
            continue
        rows = best(cosines[place[shopper, asked]], EACH, np.tile(bought[shopper], (len(asked), 1))).rows
        by_turns = rows.T.ravel()
        slate = list(dict.fromkeys(by_turns[by_turns >= 0].tolist()))
        slates[shopper, : len(slate)] = slate
    return slates


def measure_reach(slates: Ints, task: Task, *, seed: int = 0) -> Reach:
    """HR, Recall and NDCG of slates at 20 and 50."""
    values = per_shopper(slates, task.targets, CUTS)
    return Reach(
        {name: bootstrap(one, seed=seed) for name, one in values.items()},
        values,
        float((slates >= 0).sum(axis=1).mean()),
    )


def measure_words(
    encoder: Encoder,
    titles: Sequence[str],
    vectors: Vectors,
    parts: Sequence[tuple[str, int]],
    *,
    seed: int = 0,
) -> Estimate:
    """Share of parts that find their title among the first ten titles.

    Args:
        encoder: Of the parts.
        titles: The n different titles.
        vectors: (n, d) their vectors by the same encoder.
        parts: Some words of a title and the title's number.
        seed: Of the resampling.

    Raises:
        CatalogError: If there is no part: no title has three words.
    """
    if not parts:
        raise CatalogError("No title has three words or more.", way_out="Give a catalogue with whole titles.")
    cosines = encoder.encode([text for text, _ in parts]) @ vectors.T
    mine = cosines[np.arange(len(parts)), [number for _, number in parts]]
    before = (cosines > mine[:, None]).sum(axis=1)
    return bootstrap((before < min(10, len(titles))).astype(np.float64), seed=seed)
