"""What a student's model card says of it: measured alone, on purchases that came after it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.distill.card import FIGURES, write_card
from agents.distill.form import labels, phrases
from agents.distill.held_out import Bought, held_out
from console.errors import ConsoleError
from console.verbs.evaluation.demand_forms import HistoryForm
from console.verbs.evaluation.demand_study import Study
from console.verbs.evaluation.purchases import student_cutoff
from index.items.titles import short_title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["evaluate_student"]


def evaluate_student(
    student: Path,
    events: Path,
    catalog: Path | None,
    *,
    shoppers: int | None,
    queries: int,
    answers: int,
    seed: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure a student at its own cutoff, write the figures into its folder and its card anew.

    Args:
        student: Its folder.
        events: Purchases that go on after its cutoff.
        catalog: Their items.
        shoppers: Only so many.
        queries: Most demands of a shopper.
        answers: How many are written unconstrained.
        seed: Of what is drawn.
        tell: Told what is being done.

    Raises:
        NearlineError: If the student or the purchases cannot be read, or nobody bought on.
    """
    cutoff = student_cutoff(student)
    study = Study.open(
        events,
        catalog,
        cutoff,
        student,
        queries=queries,
        shoppers=shoppers,
        forms=[HistoryForm.NEWEST],
        agents=[],
        seed=seed,
        tell=tell,
    )
    task = study.task
    if not len(task.users):
        raise ConsoleError(
            f"Nobody in {events.name} bought both before {cutoff} and on a day since.",
            way_out="Give purchases that go on after the student's cutoff.",
        )
    tell("demands")
    written = study.written(task)
    tell("what they find")
    alone = study.slices.alone(task, written.queries)
    titles = study.bought.titles
    profiles = [one.prompt for one in written.sets]
    examples = [
        Bought(
            _had(profile),
            tuple(phrases(short_title(titles[item]) for item in task.targets[at].tolist() if titles[item])),
        )
        for at, profile in enumerate(profiles)
    ]
    held = held_out(student, examples, newest=len(titles), seed=seed, tell=tell)
    tell("unconstrained answers")
    asked = [profile for profile in profiles if profile][:answers]
    valid = study.writer.unconstrained(asked)
    tokens = float(np.mean([one.prompt_tokens + one.output_tokens for one in written.sets]))
    figures = {
        "events": events.name,
        "cutoff": cutoff,
        "shoppers": len(task.users),
        "queries": queries,
        "held_out": asdict(held),
        "alone": {
            "U2Q": _plain(alone["channels"]["U2Q"]),
            "U2Q swapped": _plain(alone["channels"]["U2Q swapped"]),
        },
        "swap_recall": alone["swap_recall"],
        "swap_ratio": asdict(alone["swap_ratio"]),
        "valid_unconstrained": valid,
        "asked_unconstrained": len(asked),
        "tokens": tokens,
        "tokens_a_second": tokens / written.seconds,
        "tokens_a_cpu_second": tokens / written.cpu_seconds,
        "cpu_seconds": written.cpu_seconds,
    }
    try:
        (student / FIGURES).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConsoleError(
            f"The figures cannot be written into {student} ({error}).", way_out="Check its rights."
        ) from error
    write_card(student)
    return figures


def _had(profile: str) -> tuple[str, ...]:
    """The titles of a profile in their order."""
    known = labels(profile)
    line = profile.rpartition("bought: ")[2].split("\n")[0]
    return tuple(title for title in line.split("; ") if title in known)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: asdict(value) for name, value in values.items()}
