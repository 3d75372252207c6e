"""What changed between two runs of one capture: triggers, demands, slates, and what they would have been good for."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from stream.replay.agreement import kendall, overlap, rbo
from stream.replay.errors import RunError
from stream.replay.run import read_run, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream.replay.run import Run

__all__ = ["DEPTHS", "Agreement", "Difference", "RuleChange", "Side", "compare"]

DEPTHS = (10, 20, 50)

Key: TypeAlias = tuple[str, str, str]
"""What a trigger is in both runs: shopper, rule and event."""


class RuleChange(msgspec.Struct, frozen=True):
    """Triggers of one rule: in both runs, only in the second, only in the first."""

    rule: str
    both: int
    gained: int
    lost: int


class Agreement(msgspec.Struct, frozen=True):
    """How far the slates of the triggers in both runs agree, as means over them.

    Attributes:
        slates: how many were compared, and ``same`` how many have the same items in the same order.
        overlap: by depth the share of items in both.
        kendall: rank correlation of the items in both, -1 to 1; None where no two slates share two items.
        rbo: rank-biased overlap with persistence 0.9, 0 to 1.
    """

    slates: int
    same: int
    overlap: dict[int, float]
    kendall: float | None
    rbo: float


class Side(msgspec.Struct, kw_only=True):
    """One run by itself.

    Attributes:
        name: of the run.
        triggers: fired; ``rungs`` of their demands.
        categories: mean of the different categories in a slate.
        unseen: share of shown items that are of categories the shopper had not touched.
        new: share of shown items that were new to the shop.
        items: different items shown to anybody.
        acts: by type what shoppers did within the horizon after a trigger of theirs in either run.
        hits: of those, the ones whose item the shopper's newest slate of this run had.
        model_calls, texts_encoded, misses: as the run says.
        seconds: wall clock by stage, as the run says.
    """

    name: str
    triggers: int
    rungs: dict[str, int]
    categories: float
    unseen: float
    new: float
    items: int
    acts: dict[str, int]
    hits: dict[str, int]
    model_calls: int
    texts_encoded: int
    misses: int
    seconds: dict[str, float]


class Difference(msgspec.Struct, kw_only=True):
    """The difference of two runs.

    Attributes:
        same: whether triggers, prompts, demands and slates are the same, by their hashes; ``all`` for everything.
        rules: triggers by rule.
        prompts_changed, demands_changed: of the triggers in both runs.
        agreement: of the slates of the triggers in both runs.
        sides: the runs by themselves.
        horizon_s: how long after a trigger what a shopper did counts.
        notes: what to know when reading it.
    """

    same: dict[str, bool]
    rules: list[RuleChange]
    prompts_changed: int
    demands_changed: int
    agreement: Agreement
    sides: list[Side]
    horizon_s: float
    notes: list[str]


class _Slate(NamedTuple):
    ts: int
    items: tuple[str, ...]


class _Loaded(NamedTuple):
    """One run in memory: by trigger its place, and by place the slate."""

    run: Run
    places: dict[Key, int]
    slates: dict[int, _Slate]
    slates_of: dict[str, list[_Slate]]
    variety: tuple[int, int, int, int]


def compare(one: Path, other: Path, *, horizon_s: float = 86_400.0) -> Difference:
    """Compare two runs of the same capture.

    Args:
        one: folder of the first run, ``other`` of the second.
        other: see ``one``.
        horizon_s: how long after a trigger, on the shoppers' clocks, clicks and orders count.

    Raises:
        RunError: a run cannot be read, or they are of different captures.
    """
    first, second = _load(one), _load(other)
    told = (first.run.told, second.run.told)
    if told[0].capture_sha256 != told[1].capture_sha256:
        raise RunError(
            f"{one} and {other} are runs of different captures ({told[0].capture} and {told[1].capture}).",
            way_out="Replay one capture twice, and compare those runs.",
        )
    both = [key for key in first.places if key in second.places]
    prompts, demands = _changed(one, other, first, second, both)
    acts = _acts_after(one, (first, second), horizon_s * 1000)
    notes = [f"{run.told.name}: {note}" for run in (first.run, second.run) for note in run.told.notes]
    if told[0].users != told[1].users:
        notes.append(
            "The runs are of different shoppers: what only one of them has was not replayed in the other."
        )
    hashes = (msgspec.structs.asdict(first.run.hashes), msgspec.structs.asdict(second.run.hashes))
    return Difference(
        same={name: hashes[0][name] == hashes[1][name] for name in hashes[0]},
        rules=_by_rule(first.places, second.places),
        prompts_changed=prompts,
        demands_changed=demands,
        agreement=_agreement(first, second, both),
        sides=[_side(loaded, acts, horizon_s * 1000) for loaded in (first, second)],
        horizon_s=horizon_s,
        notes=notes,
    )


def _load(folder: Path) -> _Loaded:
    run = read_run(folder)
    places: dict[Key, int] = {}
    of: dict[int, tuple[str, int]] = {}
    for place, user, rule, event, ts in rows_of(
        folder, "triggers", ("place", "user", "rule", "event_id", "ts")
    ):
        places[user, rule, event] = place
        of[place] = (user, ts)
    slates: dict[int, _Slate] = {}
    slates_of: defaultdict[str, list[_Slate]] = defaultdict(list)
    names: dict[str, str] = {}
    counts = [0, 0, 0, 0]
    for place, data, categories, unseen, new in rows_of(
        folder, "slates", ("place", "slate", "categories", "unseen", "new")
    ):
        user, ts = of[place]
        shown = _decode(data).candidates
        slate = _Slate(ts, tuple(names.setdefault(one.item, one.item) for one in shown))
        slates[place] = slate
        slates_of[user].append(slate)
        for at, more in enumerate((categories, unseen, new, len(shown))):
            counts[at] += more
    for found in slates_of.values():
        found.sort(key=_made)
    return _Loaded(run, places, slates, slates_of, (counts[0], counts[1], counts[2], counts[3]))


class _Item(msgspec.Struct):
    item: str


class _Shown(msgspec.Struct):
    candidates: list[_Item]


_decode = msgspec.json.Decoder(_Shown).decode


def _by_rule(first: dict[Key, int], second: dict[Key, int]) -> list[RuleChange]:
    both = Counter(key[1] for key in first if key in second)
    lost = Counter(key[1] for key in first if key not in second)
    gained = Counter(key[1] for key in second if key not in first)
    return [RuleChange(rule, both[rule], gained[rule], lost[rule]) for rule in sorted(both | gained | lost)]


def _changed(one: Path, other: Path, first: _Loaded, second: _Loaded, both: list[Key]) -> tuple[int, int]:
    """Of the triggers in both runs, those with another prompt, and those with other demands."""
    said = [{row[0]: row[1:] for row in _said(folder)} for folder in (one, other)]
    prompts = demands = 0
    for key in both:
        a, b = said[0].get(first.places[key]), said[1].get(second.places[key])
        if a is None or b is None:
            continue
        prompts += a[0] != b[0]
        demands += a[1] != b[1]
    return prompts, demands


def _said(folder: Path) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Of each trigger the place, a hash of its prompt, and its queries."""
    for place, version, prompt, data in rows_of(
        folder, "demands", ("place", "prompt_version", "prompt", "demands")
    ):
        yield place, hash((version, prompt)), tuple(one["query"] for one in msgspec.json.decode(data))


def _agreement(first: _Loaded, second: _Loaded, both: list[Key]) -> Agreement:
    overlaps = dict.fromkeys(DEPTHS, 0.0)
    taus: list[float] = []
    alike = count = same = 0.0
    for key in both:
        a, b = first.slates.get(first.places[key]), second.slates.get(second.places[key])
        if a is None or b is None:
            continue
        count += 1
        same += a.items == b.items
        for depth in DEPTHS:
            overlaps[depth] += overlap(a.items, b.items, depth)
        if (tau := kendall(a.items, b.items)) is not None:
            taus.append(tau)
        alike += rbo(a.items, b.items)
    return Agreement(
        slates=int(count),
        same=int(same),
        overlap={depth: round(value / max(count, 1), 4) for depth, value in overlaps.items()},
        kendall=round(sum(taus) / len(taus), 4) if taus else None,
        rbo=round(alike / max(count, 1), 4),
    )


def _acts_after(
    folder: Path, loaded: tuple[_Loaded, _Loaded], horizon: float
) -> list[tuple[str, int, str, str]]:
    """What shoppers did within the horizon after a trigger of theirs in either run: the same for both sides."""
    moments: defaultdict[str, set[int]] = defaultdict(set)
    for one in loaded:
        for user, slates in one.slates_of.items():
            moments[user].update(slate.ts for slate in slates)
    times = {user: sorted(found) for user, found in moments.items()}
    return [
        (user, ts, kind, item)
        for user, ts, kind, item in rows_of(folder, "acts", ("user", "ts", "type", "item"))
        if user in times and (at := bisect_right(times[user], ts - 1)) and ts - times[user][at - 1] <= horizon
    ]


def _side(loaded: _Loaded, acts: list[tuple[str, int, str, str]], horizon: float) -> Side:
    run = loaded.run
    hits: Counter[str] = Counter()
    for user, ts, kind, item in acts:
        slates = loaded.slates_of.get(user, [])
        # What they saw was the newest slate made before they acted.
        at = bisect_right(slates, ts - 1, key=_made)
        hits[kind] += at > 0 and ts - slates[at - 1].ts <= horizon and item in slates[at - 1].items
    categories, unseen, new, shown = loaded.variety
    return Side(
        name=run.told.name,
        triggers=run.triggers,
        rungs=run.rungs,
        categories=round(categories / max(len(loaded.slates), 1), 3),
        unseen=round(unseen / max(shown, 1), 4),
        new=round(new / max(shown, 1), 4),
        items=len({item for slate in loaded.slates.values() for item in slate.items}),
        acts=dict(sorted(Counter(kind for _, _, kind, _ in acts).items())),
        hits=dict(sorted(hits.items())),
        model_calls=run.model_calls,
        texts_encoded=run.texts_encoded,
        misses=run.misses,
        seconds=run.seconds,
    )


def _made(slate: _Slate) -> int:
    return slate.ts
