"""What goes together: item-to-item weights learnt from who bought what, and shoppers' scores from them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.channels.sparse import sparse_rows
from index.errors import CatalogDamagedError, CatalogError
from nearline import written_whole

if TYPE_CHECKING:
    from pathlib import Path

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories, Purchases

__all__ = [
    "HALF_LIFE",
    "LAMBDA",
    "Behaviour",
    "Neighbours",
    "cosine_weights",
    "ease_weights",
    "gram",
]

LAMBDA: Final = 300.0
HALF_LIFE: Final = 3.0
MOST_ITEMS: Final = 30_000
"""Items of a closed-form solution: its dense inverse takes 8 bytes a pair, 7 GB at this many."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Item-to-item weights W; a shopper's scores are x W, with x the shopper's decayed purchases.

    x holds ``0.5 ** (a / half-life)`` for an item last bought a invoice days before the latest (`Histories.weights`).

    Attributes:
        name: The channel's name.
        weights: (items, items) float32; row i is what one purchase of i says about every item.
        sold: (items,) whether the item was ever sold; others are never offered.
        half_life: In invoice days; None for no decay.
    """

    name: str
    weights: Scores
    sold: npt.NDArray[np.bool_]
    half_life: float | None = HALF_LIFE
    needs: frozenset[Need] = frozenset({"purchases"})

    @classmethod
    def ease(
        cls, history: Purchases, *, regularisation: float = LAMBDA, half_life: float | None = HALF_LIFE
    ) -> Behaviour:
        """Learn EASE^R; see `ease_weights`."""
        counts = gram(history)
        return cls("ease", ease_weights(counts, regularisation), counts.diagonal() > 0, half_life)

    @classmethod
    def item_knn(cls, history: Purchases, *, half_life: float | None = HALF_LIFE) -> Behaviour:
        """Learn the cosines of items; see `cosine_weights`."""
        counts = gram(history)
        return cls("item-knn", cosine_weights(counts), counts.diagonal() > 0, half_life)

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`."""
        scores: Scores = shoppers.weights(len(self.sold), self.half_life) @ self.weights
        scores[:, ~self.sold] = -np.inf
        return scores

    def sparse(self, k: int) -> Neighbours:
        """Keep the k largest weights (by size) of each row: what is served from."""
        k = min(k, len(self.sold))
        order = np.argsort(-np.abs(self.weights), axis=1, kind="stable")[:, :k]
        return Neighbours(
            self.name, order.astype(np.int32), np.take_along_axis(self.weights, order, axis=1), self.half_life
        )


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`Behaviour` with the k strongest partners of each item only; 8 bytes a partner.

    Attributes:
        name: The channel's name.
        partners: (items, k) the partners' numbers.
        strengths: (items, k) their weights.
        half_life: As in `Behaviour`.
    """

    name: str
    partners: npt.NDArray[np.int32]
    strengths: Scores
    half_life: float | None
    needs: frozenset[Need] = frozenset({"purchases"})

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`; items that are no partner of anything bought get -inf."""
        items = len(self.partners)
        bought = shoppers.weights(items, self.half_life)
        scores = np.zeros((shoppers.count, items), dtype=np.float32)
        met = np.zeros((shoppers.count, items), dtype=bool)
        who, what = np.nonzero(bought)
        flat = (who[:, None] * items + self.partners[what]).ravel()
        np.add.at(scores.reshape(-1), flat, (bought[who, what][:, None] * self.strengths[what]).ravel())
        met.reshape(-1)[flat] = True
        scores[~met] = -np.inf
        return scores

    def save(self, path: Path, items: tuple[str, ...]) -> None:
        """Write an ``.npz`` beside its place and put it there whole.

        Args:
            path: The file.
            items: The ids of the items by number; the file holds them, so that numbers mean the same again.
        """
        # savez gives a path without .npz another name, and a file none.
        with written_whole(path) as beside, beside.open("wb") as file:
            np.savez(
                file,
                name=np.array(self.name),
                partners=self.partners,
                strengths=self.strengths,
                half_life=np.array(np.nan if self.half_life is None else self.half_life),
                items=np.array(items, dtype=np.str_),
            )

    @classmethod
    def load(cls, path: Path) -> tuple[Neighbours, tuple[str, ...]]:
        """Read what `save` wrote: the channel and the items' ids by number.

        Raises:
            CatalogDamagedError: If the file is missing, cut short or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as parts:
                half_life = float(parts["half_life"])
                items = tuple(parts["items"].tolist())
                loaded = cls(
                    str(parts["name"]),
                    parts["partners"],
                    parts["strengths"],
                    None if np.isnan(half_life) else half_life,
                )
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CatalogDamagedError(
                f"{path} holds no readable item-to-item weights ({error}).", way_out="Learn them again."
            ) from error
        shape = loaded.partners.shape
        if shape != loaded.strengths.shape or len(shape) != 2 or shape[0] != len(items):
            raise CatalogDamagedError(
                f"{path}: partners, strengths and items do not fit one another.", way_out="Learn them again."
            )
        return loaded, items


def gram(
    history: Purchases,
    row_of: npt.NDArray[np.int64] | None = None,
    weight: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float32]:
    """(items, items): how many rows hold both items; each row counts an item once.

    Args:
        history: The order lines (n,).
        row_of: (n,) what the lines are gathered into; the users if None.
        weight: (rows,) what a row counts; 1 if None.

    Raises:
        CatalogError: If there are more items than a dense matrix may have, or scipy is not installed.
    """
    items = len(history.items)
    if items > MOST_ITEMS:
        raise CatalogError(
            f"There are {items:,} items, and item-to-item weights are dense while they are learnt.",
            way_out=f"Learn from the {MOST_ITEMS:,} items sold most.",
        )
    rows = history.user if row_of is None else row_of
    pairs = np.unique(rows * items + history.item)
    where, what = pairs // items, pairs % items
    ones = np.ones(len(pairs), dtype=np.float32)
    if weight is not None:
        ones = np.sqrt(weight[where]).astype(np.float32)
    bought = sparse_rows((ones, (where, what)), (int(rows.max(initial=0)) + 1, items))
    counts: npt.NDArray[np.float32] = (bought.T @ bought).toarray()
    return counts


def ease_weights(counts: npt.NDArray[np.float32], regularisation: float = LAMBDA) -> Scores:
    """EASE^R in closed form: with P = (XᵀX + λI)⁻¹, W = I - P / diag(P), so its diagonal is 0.

    Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8.

    Args:
        counts: XᵀX (items, items), as from `gram`.
        regularisation: λ, above 0; larger trusts rare pairs less.

    Raises:
        CatalogError: If λ is not above 0.
    """
    if not regularisation > 0:
        raise CatalogError(
            f"EASE^R has the regularisation {regularisation}.", way_out="Give a number above 0, such as 300."
        )
    matrix = counts.astype(np.float64)
    diagonal = np.diag_indices_from(matrix)
    matrix[diagonal] += regularisation
    inverse = np.linalg.inv(matrix)
    inverse /= -inverse.diagonal()
    inverse[diagonal] = 0.0
    return inverse.astype(np.float32)


def cosine_weights(counts: npt.NDArray[np.float32]) -> Scores:
    """Cosines of the items' columns: counts[i, j] / sqrt(counts[i, i] counts[j, j]), with a diagonal of 0.

    Sarwar and others, "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001.
    """
    lengths = np.sqrt(counts.diagonal())
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    cosines: Scores = counts * inverse[:, None] * inverse[None, :]
    np.fill_diagonal(cosines, 0.0)
    return cosines
