"""What changed between two runs of one capture: triggers, demands, slates, and what they would have been good for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from stream.replay.comparing.agreement import kendall, overlap, rbo
from stream.replay.comparing.changed_shoppers import changed_shoppers
from stream.replay.comparing.columns import Book
from stream.replay.comparing.difference import (
    DEPTHS,
    Agreement,
    CategoryShare,
    Difference,
    OverTime,
    RuleChange,
    Side,
)
from stream.replay.comparing.golden import columns_at
from stream.replay.comparing.next_acts import Shown, acts_after, by_kind, hits_of
from stream.replay.errors import RunError
from stream.replay.run import rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.comparing.columns import Columns
    from stream.replay.comparing.next_acts import Acts

    Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

__all__ = ["compare"]

_STEPS = 60
_CATEGORIES = 12
_ROUND_MS = (60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000, 86_400_000, 604_800_000)


def compare(one: Path, other: Path, *, horizon_s: float = 86_400.0, shoppers: int = 12) -> Difference:
    """Compare two runs of the same capture.

    Args:
        one: folder of the first run, or file of a golden (:mod:`stream.replay.comparing.golden`).
        other: folder of the second run; what its shoppers did is what counts.
        horizon_s: how long after a trigger, on the shoppers' clocks, clicks and orders count.
        shoppers: how many of the most changed to name.

    Raises:
        RunError: a run cannot be read, or they are of different captures.
    """
    book = Book.new()
    first, second = columns_at(one, book), columns_at(other, book)
    told = (first.run.told, second.run.told)
    if told[0].capture_sha256 != told[1].capture_sha256:
        raise RunError(
            f"{one} and {other} are runs of different captures ({told[0].capture} and {told[1].capture}).",
            way_out="Replay one capture twice, and compare those runs.",
        )
    pairs, horizon = _Pairs.of(first, second), int(horizon_s * 1000)
    shown = Shown(first), Shown(second)
    acts = acts_after(other, book, shown, horizon)
    places = [
        hits_of(columns, seen, acts, horizon) for columns, seen in zip((first, second), shown, strict=True)
    ]
    runs = (first.run, second.run)
    notes = [f"{run.told.name}: {note}" for run in runs for note in run.told.notes]
    if runs[0].told.users != runs[1].told.users:
        notes.append(
            "The runs are of different shoppers: what only one of them has was not replayed in the other."
        )
    hashes = [msgspec.structs.asdict(run.hashes) for run in runs]
    thought = _both_thought(first, second, pairs)
    return Difference(
        same={name: hashes[0][name] == hashes[1][name] for name in hashes[0]},
        rules=_by_rule(first, second, pairs, book),
        thought=len(thought.first),
        prompts_changed=int((first.prompts[thought.first] != second.prompts[thought.second]).sum()),
        demands_changed=_demands_changed(first, second, thought),
        demands_kept=_demands_kept(first, second, thought),
        agreement=_agreement(first, second, pairs),
        rungs_moved=_rungs_moved(first, second, thought, book),
        sides=[_side(columns, acts, found) for columns, found in zip((first, second), places, strict=True)],
        only_hits=[
            by_kind(acts, (places[0] > 0) & (places[1] == 0)),
            by_kind(acts, (places[1] > 0) & (places[0] == 0)),
        ],
        horizon_s=horizon_s,
        over_time=_over_time(first, second),
        categories=_categories((one, other), (first, second), book),
        shoppers=changed_shoppers(first, second, shown, book, shoppers),
        notes=notes,
    )


class _Pairs(NamedTuple):
    """The triggers in both runs: their rows in the first and in the second."""

    first: Numbers
    second: Numbers

    @classmethod
    def of(cls, first: Columns, second: Columns) -> _Pairs:
        """In the order of the first run."""
        _, rows, others = np.intersect1d(first.keys, second.keys, return_indices=True)
        order = np.argsort(rows)
        return cls(rows[order], others[order])


def _both_thought(first: Columns, second: Columns, pairs: _Pairs) -> _Pairs:
    """Of the triggers in both runs those that have demands in both."""
    good = (first.rungs[pairs.first] >= 0) & (second.rungs[pairs.second] >= 0)
    return _Pairs(pairs.first[good], pairs.second[good])


def _by_rule(first: Columns, second: Columns, pairs: _Pairs, book: Book) -> list[RuleChange]:
    count = len(book.rules)
    both = np.bincount(first.rules[pairs.first], minlength=count)
    lost = np.bincount(first.rules, minlength=count) - both
    gained = np.bincount(second.rules, minlength=count) - both
    return sorted(
        (
            RuleChange(rule, int(both[at]), int(gained[at]), int(lost[at]))
            for at, rule in enumerate(book.rules.names)
        ),
        key=lambda change: change.rule,
    )


def _demands_changed(first: Columns, second: Columns, pairs: _Pairs) -> int:
    return sum(
        first.queries[a] != second.queries[b]
        for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    )


def _demands_kept(first: Columns, second: Columns, pairs: _Pairs) -> float | None:
    """Mean share of queries that are in both, of those in either."""
    shares = []
    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        one, other = set(first.queries[a]), set(second.queries[b])
        shares.append(len(one & other) / len(one | other) if one | other else 1.0)
    return round(sum(shares) / len(shares), 4) if shares else None


def _rungs_moved(first: Columns, second: Columns, pairs: _Pairs, book: Book) -> dict[str, int]:
    moved = Counter(
        (a, b)
        for a, b in zip(first.rungs[pairs.first].tolist(), second.rungs[pairs.second].tolist(), strict=True)
        if a != b
    )
    name = book.rungs.names
    return {f"{name[a]} to {name[b]}": count for (a, b), count in sorted(moved.items())}


def _agreement(first: Columns, second: Columns, pairs: _Pairs) -> Agreement:
    sums, spread = dict.fromkeys(DEPTHS, 0.0), [0] * 11
    taus: list[float] = []
    alike = 0.0
    count = same = 0
    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if not (first.served[a] and second.served[b]):
            continue
        one, other = first.slates[a].tolist(), second.slates[b].tolist()
        count += 1
        if one == other:
            same += 1
            at_20 = 1.0
            for depth in DEPTHS:
                sums[depth] += 1.0
            if len(one) > 1:
                taus.append(1.0)
            alike += 1.0
        else:
            shares = {depth: overlap(one, other, depth) for depth in DEPTHS}
            for depth, share in shares.items():
                sums[depth] += share
            at_20 = shares[20]
            if (tau := kendall(one, other)) is not None:
                taus.append(tau)
            alike += rbo(one, other)
        spread[int(at_20 * 10 + 1e-9)] += 1
    return Agreement(
        slates=count,
        same=same,
        overlap={depth: round(value / count, 4) if count else None for depth, value in sums.items()},
        kendall=round(sum(taus) / len(taus), 4) if taus else None,
        rbo=round(alike / count, 4) if count else None,
        spread=spread,
    )


def _side(columns: Columns, acts: Acts, places: Numbers) -> Side:
    run, slates = columns.run, int(columns.served.sum())
    categories, unseen, new, shown = columns.variety
    return Side(
        name=run.told.name,
        triggers=run.triggers,
        shoppers=len(np.unique(columns.users)),
        slates=slates,
        rungs=run.rungs,
        categories=round(categories / max(slates, 1), 3),
        unseen=round(unseen / max(shown, 1), 4),
        new=round(new / max(shown, 1), 4),
        items=len(np.unique(columns.slates.values)),
        acts=acts.counted(),
        hits=by_kind(acts, places > 0),
        hits_at={depth: by_kind(acts, (places > 0) & (places <= depth)) for depth in DEPTHS},
        asked=columns.asked[0],
        prompt_tokens=columns.asked[1],
        output_tokens=columns.asked[2],
        model_calls=run.model_calls,
        texts_encoded=run.texts_encoded,
        from_cassette=run.hits,
        misses=run.misses,
        seconds=run.seconds,
    )


def _over_time(first: Columns, second: Columns) -> OverTime:
    """Triggers of both runs in equal steps of round length, sixty at most."""
    both = np.concatenate([first.ts, second.ts])
    if not len(both):
        return OverTime(0, 0, [], [])
    span = int(both.max() - both.min())
    step = next((ms for ms in _ROUND_MS if span / ms < _STEPS - 1), -(-span // _STEPS))
    start = int(both.min()) // step * step
    steps = (int(both.max()) - start) // step + 1
    counts = [np.bincount((one.ts - start) // step, minlength=steps).tolist() for one in (first, second)]
    return OverTime(start, step, *counts)


def _categories(folders: tuple[Path, Path], runs: tuple[Columns, Columns], book: Book) -> list[CategoryShare]:
    """Places by category, of the categories with most in both runs together."""
    of: dict[int, str] = {}
    for folder in (folder for folder in folders if folder.is_dir()):
        for item, category in rows_of(folder, "items", ("item", "category")):
            of.setdefault(book.items(item), category)
    counts: list[Counter[str]] = []
    for run in runs:
        places = np.bincount(run.slates.values, minlength=1)
        found: Counter[str] = Counter()
        for item in np.flatnonzero(places).tolist():
            found[of.get(item, "")] += int(places[item])
        counts.append(found)
    most = (counts[0] + counts[1]).most_common(_CATEGORIES)
    return [CategoryShare(name, counts[0][name], counts[1][name]) for name, _ in most]
