"""Popular items of several categories by turns; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

__all__ = ["interleave"]


def interleave(
    named: Sequence[tuple[str, Iterable[int]]],
    rest: tuple[str, Iterable[int]],
    excluded: AbstractSet[int],
    limit: int,
) -> list[tuple[int, str]]:
    """Take from the named lists by turns until all are used up, then from the rest.

    Args:
        named: The lists of rows, each best first, with the label of what comes from it.
        rest: What follows when they are used up.
        excluded: Rows to pass over.
        limit: The most rows to take.

    Returns:
        Rows with their labels, each row once.

    >>> interleave([("a", [1, 2]), ("b", [3])], ("all", [3, 1, 9]), {2}, 10)
    [(1, 'a'), (3, 'b'), (9, 'all')]
    """
    taken: dict[int, str] = {}
    for turn in ([(label, iter(rows)) for label, rows in named], [(rest[0], iter(rest[1]))]):
        waiting = turn
        while waiting and len(taken) < limit:
            left = []
            for label, rows in waiting:
                row = next((int(one) for one in rows if one not in excluded and one not in taken), None)
                if row is None or len(taken) >= limit:
                    continue
                taken[row] = label
                left.append((label, rows))
            waiting = left
    return list(taken.items())
