"""A year of purchases as its leading titles: those that together point where all of them point.

A model of what goes with what (such as EASE^R) says for each title which items it speaks for. The wants of a shopper are the sum
over all they bought. Most titles say what others say already, so a few of them, well chosen, add up to nearly the same
wants: the titles are taken one by one, each the one that brings the sum closest in direction to that of all (matching
pursuit: Mallat and Zhang, IEEE Transactions on Signal Processing 41, 1993, with equal weights, as a list of titles has no other). The
newest titles may be told first, since a reader that learnt from whole histories looks at them most. Written
by their short names (`agents.short_names`) they are a twentieth of the order lines' tokens, and readable back without loss.

The weekly lines of `agents.compression` tell amounts, rhythm and factors; this tells what was bought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.short_names import ShortNames

__all__ = ["BETWEEN", "Floats", "Leading", "keep_leading", "leading"]

BETWEEN: Final = ", "
_TINY: Final = 1e-12

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Leading:
    """The titles kept of a history, in the history's order.

    Attributes:
        titles: Whole.
        text: Their short names in one line.
        tokens: The length of the text by the counter given.
        left_out: How many titles are not told.
    """

    titles: tuple[str, ...]
    text: str
    tokens: int
    left_out: int


def leading(says: Floats, most: int) -> list[int]:
    """The rows that together point where all rows point, the most telling first.

    Args:
        says: (n, m) for each of n titles how much it speaks for each of m wants.
        most: How many rows at most.

    >>> leading(np.array([[9, 1, 0], [8, 0, 0], [0, 8, 0]], dtype=np.float32), 2)
    [0, 2]
    """
    if not len(says) or most < 1:
        return []
    level = says.astype(np.float64)
    level -= level.mean(axis=1, keepdims=True)
    goal = level.sum(axis=0)
    toward = level @ goal
    lengths = np.einsum("nm,nm->n", level, level)
    left = np.ones(len(level), dtype=bool)
    total = np.zeros(level.shape[1])
    order: list[int] = []
    for _ in range(min(most, len(level))):
        along = float(total @ goal) + toward
        size = float(total @ total) + 2.0 * (level @ total) + lengths
        closeness = np.where(left, along / np.sqrt(np.maximum(size, _TINY)), -np.inf)
        best = int(closeness.argmax())
        left[best] = False
        total += level[best]
        order.append(best)
    return order


def keep_leading(
    titles: Sequence[str],
    says: Floats,
    names: ShortNames,
    *,
    tokens: int,
    count: Callable[[str], int],
    newest: float = 0.0,
) -> Leading:
    """The newest titles of a history, and as many leading ones of those before as ``tokens`` hold.

    Args:
        titles: What the shopper bought, each once, the oldest first.
        says: (n, m) what each speaks for, see `leading`.
        names: The catalogue's short names.
        tokens: Room of the text.
        count: The length of a text in tokens of the model that will read it.
        newest: Share of the tokens for the newest titles, 0 to 1.
    """
    whole = BETWEEN.join(names.short(title) for title in titles)
    if (length := count(whole)) <= tokens:
        return Leading(tuple(titles), whole, length, 0)
    between = count(BETWEEN.strip())
    costs = [count(" " + names.short(title)) + between for title in titles]
    room, first = tokens, len(titles)
    while first and tokens - room + costs[first - 1] <= newest * tokens:
        first -= 1
        room -= costs[first]
    kept = list(range(len(titles) - 1, first - 1, -1))
    for at in leading(says[:first], max(1, tokens // (between + 1))):
        if costs[at] <= room:
            room -= costs[at]
            kept.append(at)
    text = ""
    # Pieces were counted one by one; as one text they may come to a few tokens more.
    while kept:
        text = BETWEEN.join(names.short(titles[at]) for at in sorted(kept))
        if count(text) <= tokens:
            break
        kept.pop()
    chosen = sorted(kept)
    return Leading(
        tuple(titles[at] for at in chosen),
        text if chosen else "",
        count(text) if chosen else 0,
        len(titles) - len(chosen),
    )
