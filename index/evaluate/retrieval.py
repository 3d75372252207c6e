"""Retrieval against graded judgments, with ir-measures.

NDCG uses the rating as gain and 1 / log2(place + 1) as discount. A document without a judgment counts as 0;
over judged documents only, it is taken out of the list before the measure is. Recall counts ratings of 1 and more.
Queries whose judgments are all 0 cannot be answered and are not measured.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.channels.channel import Scored, Timed
from index.errors import CatalogError, CatalogSourceError
from index.evaluate.metrics import Estimate, bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from index.channels.channel import QueryChannel

__all__ = [
    "LIST",
    "MEASURES",
    "Judgments",
    "RetrievalResult",
    "measure",
    "measure_channel",
    "read_judgments",
    "summarise",
]

MEASURES: Final = ("NDCG@10", "NDCG@10 judged only", "Recall@100", "Judged@10")
LIST: Final = 1_000
"""Length of the lists: over judged documents only, a list must be long for ten of them to be left."""

_COLUMNS: Final = ("query", "docid", "rating")


@dataclass(frozen=True, slots=True)
class Judgments:
    """Ratings of items for queries.

    Attributes:
        ratings: By query and item's row, 0 and more.
        unanswerable: Queries whose ratings are all 0.
        unknown: Judgments of documents that the catalogue lacks, as ``(line, docid)``.
        twice: Judgments of a pair rated before; the higher rating counts.
    """

    ratings: dict[str, dict[int, int]]
    unanswerable: tuple[str, ...] = ()
    unknown: list[tuple[int, str]] = field(default_factory=list)
    twice: int = 0

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries that can be answered, in the file's order."""
        return tuple(self.ratings)


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """What a channel reached: each measure with its interval, the values by query, and what calls cost.

    Attributes:
        values: By measure.
        by_query: By measure (queries,).
        ms: Milliseconds of each call with one query.
    """

    values: dict[str, Estimate]
    by_query: dict[str, npt.NDArray[np.float64]]
    ms: tuple[float, ...] = ()


def read_judgments(path: Path, row_of: dict[str, int]) -> Judgments:
    """Read a CSV file with the columns ``query, docid, rating``.

    Args:
        path: The file, UTF-8.
        row_of: The row of each item in the catalogue, by id.

    Raises:
        CatalogSourceError: If the file cannot be read, a line is wrong, or no query can be answered.
    """
    ratings: dict[str, dict[int, int]] = {}
    unknown: list[tuple[int, str]] = []
    twice = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise CatalogSourceError(
                    f"{path}, line 1 lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.",
                    way_out=f"Expected are {', '.join(_COLUMNS)}.",
                )
            for line in reader:
                query, item, rating = _checked(line, path, reader.line_num)
                row = row_of.get(item)
                if row is None:
                    unknown.append((reader.line_num, item))
                    continue
                known = ratings.setdefault(query, {})
                twice += row in known
                known[row] = max(rating, known.get(row, 0))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogSourceError(
            f"{path} cannot be read as judgments: {error}.", way_out="Give a CSV file in UTF-8."
        ) from error
    answerable = {query: known for query, known in ratings.items() if any(known.values())}
    if not answerable:
        raise CatalogSourceError(
            f"{path} has no query with a rating above 0 for an item of the catalogue "
            f"({len(unknown)} judgments are of unknown documents).",
            way_out="Check that judgments and catalogue belong together.",
        )
    return Judgments(answerable, tuple(query for query in ratings if query not in answerable), unknown, twice)


def _checked(line: dict[str, Any], path: Path, number: int) -> tuple[str, str, int]:
    query, item, rating = (str(line[name] or "").strip() for name in _COLUMNS)
    if not query or not item or not rating.isdecimal():
        raise CatalogSourceError(
            f"{path}, line {number}: expected a query, a docid and a rating of 0 or more, found {[query, item, rating]}.",
            way_out="Correct the line or take it out.",
        )
    return query, item, int(rating)


def measure(judgments: Judgments, found: Scored) -> dict[str, npt.NDArray[np.float64]]:
    """(queries,) of each of `MEASURES` for lists in the order of ``judgments.queries``."""
    measures = _ir_measures()
    wanted = {
        "NDCG@10": measures.nDCG @ 10,
        "NDCG@10 judged only": measures.nDCG(judged_only=True) @ 10,
        "Recall@100": measures.R @ 100,
        "Judged@10": measures.Judged @ 10,
    }
    queries = judgments.queries
    # Places become scores, as trec_eval orders ties in a way of its own.
    run = {
        str(at): {str(row): float(len(rows) - place) for place, row in enumerate(rows.tolist()) if row >= 0}
        for at, rows in enumerate(found.rows)
    }
    truth = {
        str(at): {str(row): rating for row, rating in judgments.ratings[query].items()}
        for at, query in enumerate(queries)
    }
    values = {name: np.zeros(len(queries)) for name in wanted}
    name_of = {one: name for name, one in wanted.items()}
    for one in measures.iter_calc(list(wanted.values()), truth, run):
        values[name_of[one.measure]][int(one.query_id)] = one.value
    return values


def measure_channel(channel: QueryChannel, judgments: Judgments, *, seed: int = 0) -> RetrievalResult:
    """Ask a channel each query by itself, and measure lists and time."""
    timed = Timed.new()
    lists = [
        timed.run(lambda query=query: channel.answer([query], LIST), 1)  # type: ignore[misc]
        for query in judgments.queries
    ]
    return summarise(judgments, _stacked(lists), seed=seed, ms=tuple(timed.calls))


def summarise(
    judgments: Judgments, found: Scored, *, seed: int = 0, ms: Sequence[float] = ()
) -> RetrievalResult:
    """Measure lists that were made elsewhere."""
    values = measure(judgments, found)
    return RetrievalResult(
        {name: bootstrap(one, seed=seed) for name, one in values.items()}, values, tuple(ms)
    )


def _stacked(lists: Sequence[Scored]) -> Scored:
    return Scored(np.concatenate([one.rows for one in lists]), np.concatenate([one.scores for one in lists]))


def _ir_measures() -> Any:
    try:
        import ir_measures  # noqa: PLC0415 - only evaluations need it
    except ImportError as error:
        raise CatalogError(
            "Evaluating retrieval needs ir-measures.", way_out="Install nearline[learn]."
        ) from error
    return ir_measures
