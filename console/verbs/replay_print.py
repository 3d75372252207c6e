"""Runs and their differences as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from console.output import console

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.diff import Difference
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
        rules.add_row(rule.rule, f"{rule.both:,}", f"{rule.gained:,}", f"{rule.lost:,}")
    console.print(rules)
    agreement = found.agreement
    same = Table(show_header=False, title=f"Of {agreement.slates:,} slates of triggers in both")
    same.add_row("other prompt", f"{found.prompts_changed:,}")
    same.add_row("other demands", f"{found.demands_changed:,}")
    same.add_row("the very same slate", f"{agreement.same:,}")
    for depth, share in agreement.overlap.items():
        same.add_row(f"overlap of the first {depth}", f"{share:.1%}")
    same.add_row("Kendall's tau", "-" if agreement.kendall is None else f"{agreement.kendall:.3f}")
    same.add_row("rank-biased overlap (0.9)", f"{agreement.rbo:.3f}")
    console.print(same)
    sides = Table("", escape(one), escape(other), title="Each by itself")
    for name, values in _sides(found):
        sides.add_row(name, *values)
    console.print(sides)
    for note in found.notes:
        console.print(note, markup=False)


def _sides(found: Difference) -> list[tuple[str, list[str]]]:
    sides = found.sides
    rungs = sorted({rung for side in sides for rung in side.rungs})
    kinds = sorted({kind for side in sides for kind in side.acts})
    hours = found.horizon_s / 3600
    return [
        ("triggers", [f"{side.triggers:,}" for side in sides]),
        *((f"rung {rung}", [f"{side.rungs.get(rung, 0):,}" for side in sides]) for rung in rungs),
        ("categories in a slate", [f"{side.categories:.2f}" for side in sides]),
        ("items of categories not touched", [f"{side.unseen:.1%}" for side in sides]),
        ("items new to the shop", [f"{side.new:.1%}" for side in sides]),
        ("different items shown", [f"{side.items:,}" for side in sides]),
        *(
            (
                f"{kind}s within {hours:g} h that the slate had",
                [
                    f"{(hit := side.hits.get(kind, 0)):,} of {(all_ := side.acts.get(kind, 0)):,} ({hit / max(all_, 1):.1%})"
                    for side in sides
                ],
            )
            for kind in kinds
        ),
        ("calls of the language model", [f"{side.model_calls:,}" for side in sides]),
        ("texts encoded", [f"{side.texts_encoded:,}" for side in sides]),
        ("seconds", [f"{side.seconds['all']:,.1f}" for side in sides]),
    ]
