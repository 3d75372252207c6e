"""Runs and their differences as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from console.output import console
from stream.replay.comparing.difference import DEPTHS

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.comparing.difference import Difference
    from stream.replay.run import Run

__all__ = ["print_difference", "print_run"]


def print_run(run: Run, folder: Path) -> None:
    """What a replay came to."""
    told, seconds = run.told, run.seconds
    whole = max(seconds["all"], 1e-9)
    console.print(
        f"{run.events:,} events, {run.triggers:,} triggers in {whole:,.1f} s "
        f"({run.events / whole:,.0f} events/s): {folder}",
        markup=False,
    )
    table = Table(show_header=False)
    counts = run.accounting
    table.add_row(
        "events",
        f"{counts.applied:,} applied, {counts.duplicate:,} duplicate, {counts.late:,} late, {counts.dead:,} dead",
    )
    table.add_row("rules", escape(told.rules))
    if told.prompt:
        table.add_row("model", escape(f"{told.model}, prompt {told.prompt}"))
        table.add_row("rungs", ", ".join(f"{rung} {count:,}" for rung, count in run.rungs.items()))
        table.add_row(
            "calls",
            f"{run.model_calls:,} of the language model, {run.texts_encoded:,} texts encoded; "
            f"cassette {told.cassette}: {run.hits:,} hits, {run.misses:,} misses",
        )
        table.add_row(
            "seconds", ", ".join(f"{stage} {took:,.1f}" for stage, took in seconds.items() if stage != "all")
        )
    table.add_row("hash", run.hashes.all)
    console.print(table)
    for note in told.notes:
        console.print(note, markup=False)


def print_difference(found: Difference) -> None:
    """What changed between two runs."""
    one, other = (side.name for side in found.sides)
    if found.same["all"]:
        console.print("The same triggers, prompts, demands and slates, byte for byte.")
    else:
        different = [name for name, same in found.same.items() if not same and name != "all"]
        console.print(f"Different: {', '.join(different)}.", markup=False)
    rules = Table("rule", "in both", f"only in {escape(other)}", f"only in {escape(one)}", title="Triggers")
    for rule in found.rules:
        rules.add_row(escape(rule.rule), f"{rule.both:,}", f"{rule.gained:,}", f"{rule.lost:,}")
    console.print(rules)
    if found.agreement.slates:
        console.print(_agreement(found))
    sides = Table("", escape(one), escape(other), title="Each by itself")
    for name, values in _sides(found):
        sides.add_row(name, *values)
    console.print(sides)
    if found.shoppers:
        console.print(_shoppers(found))
    for note in found.notes:
        console.print(note, markup=False)


def _of(count: int, of: int) -> str:
    return f"{count:,} of {of:,} ({count / max(of, 1):.1%})"


def _agreement(found: Difference) -> Table:
    agreement = found.agreement
    table = Table(show_header=False, title=f"Of {agreement.slates:,} slates of triggers in both")
    table.add_row("other prompt", f"{found.prompts_changed:,}")
    table.add_row("other demands", f"{found.demands_changed:,}")
    table.add_row("demands in both, of those in either", _percent(found.demands_kept))
    for moved, count in found.rungs_moved.items():
        table.add_row(f"rung {moved}", f"{count:,}")
    table.add_row("the very same slate", f"{agreement.same:,}")
    for depth, share in agreement.overlap.items():
        table.add_row(f"overlap of the first {depth}", _percent(share))
    table.add_row("Kendall's tau", "-" if agreement.kendall is None else f"{agreement.kendall:.3f}")
    table.add_row("rank-biased overlap (0.9)", "-" if agreement.rbo is None else f"{agreement.rbo:.3f}")
    return table


def _shoppers(found: Difference) -> Table:
    table = Table("shopper", "changed by", "moments", "most at (UTC)", title="The most changed shoppers")
    for one in found.shoppers:
        at = datetime.fromtimestamp(one.at / 1000, UTC)
        table.add_row(escape(one.user), f"{one.change:.0%}", f"{one.moments:,}", f"{at:%Y-%m-%d %H:%M}")
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _sides(found: Difference) -> list[tuple[str, list[str]]]:
    sides = found.sides
    fired = [
        ("triggers", [f"{side.triggers:,}" for side in sides]),
        ("shoppers with a trigger", [f"{side.shoppers:,}" for side in sides]),
    ]
    seconds = ("seconds", [f"{side.seconds.get('all', 0.0):,.1f}" for side in sides])
    if not any(side.slates for side in sides):
        return [*fired, seconds]
    return [*fired, *_shown(found), *_called(found), seconds]


def _shown(found: Difference) -> list[tuple[str, list[str]]]:
    """Demands by rung, what the slates have, and what of it the shoppers went on to."""
    sides = found.sides
    rungs = sorted({rung for side in sides for rung in side.rungs})
    kinds = sorted({kind for side in sides for kind in side.acts})
    hours = found.horizon_s / 3600
    return [
        *((f"rung {rung}", [f"{side.rungs.get(rung, 0):,}" for side in sides]) for rung in rungs),
        ("categories in a slate", [f"{side.categories:.2f}" for side in sides]),
        ("items of categories not touched", [f"{side.unseen:.1%}" for side in sides]),
        ("items new to the shop", [f"{side.new:.1%}" for side in sides]),
        ("different items shown", [f"{side.items:,}" for side in sides]),
        *(
            (
                f"{kind}s within {hours:g} h that the first {depth} had",
                [_of(side.hits_at[depth].get(kind, 0), side.acts.get(kind, 0)) for side in sides],
            )
            for kind in kinds
            for depth in DEPTHS
        ),
        *(
            (
                f"{kind}s that only this run's slates had",
                [f"{only.get(kind, 0):,}" for only in found.only_hits],
            )
            for kind in kinds
        ),
    ]


def _called(found: Difference) -> list[tuple[str, list[str]]]:
    """Calls of models, and what a cassette answered."""
    sides = found.sides
    return [
        ("triggers that asked the language model", [f"{side.asked:,}" for side in sides]),
        ("tokens read and written", [f"{side.prompt_tokens:,} + {side.output_tokens:,}" for side in sides]),
        ("calls answered by a cassette", [f"{side.from_cassette:,}" for side in sides]),
        ("calls of the language model", [f"{side.model_calls:,}" for side in sides]),
        ("texts encoded", [f"{side.texts_encoded:,}" for side in sides]),
    ]
