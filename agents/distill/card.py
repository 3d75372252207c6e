"""The model card: what a student is, what it was made from, and what it may not be used for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["model_card", "write_card"]

_CARD: Final = """---
pipeline_tag: text-generation
library_name: transformers
tags: [recommendation, distillation, nearline]
---

# A shop's demands, distilled

A language model of {parameters:,} parameters (Llama architecture, {layers} layers of width {hidden}, {vocabulary:,} pieces learnt
from the shop's catalogue). It reads what one shopper had and writes what they will want next, as titles of the catalogue:

    {example_in}
    -> {{"queries":["...","..."]}}

## Made from

- Purchases: `{events}`, those before {cutoff} (00:00 UTC): {lines:,} order lines, {moments:,} moments, {pairs:,} pairs.
- Teachers: EASE^R (weight {ease}), item-kNN ({item_knn}), what is rising ({rising}); {taken:.0%} of the newest pairs' weight is what
  was really bought next. No other model's weights or texts are in it.
- Trained from nothing in {cpu_seconds:,.0f} CPU seconds; seed {seed}.

The licence of the purchases applies to what is derived from them: give its notice along with this folder. The student knows
the titles of the shop and who buys what with what; treat it as confidential if the log is.

## Figures

Cross-entropy with the teachers, nats a piece: {loss}. How good its demands are is measured by
`nearline eval demand --events FILE --cutoff DATE --student FOLDER` on purchases after {cutoff}.

## Not for

Other shops, other languages than the catalogue's, questions, or anything but writing searches of this catalogue. It
repeats what shoppers of the past did, their seasons and biases with it: train it again when the catalogue or the season turns.

## Use

In process: `agents.runtime: student` and `agents.student.model: FOLDER`. Behind a server: `vllm serve FOLDER --dtype float32`, with
`agents.runtime: server`, `agents.server.mode: completion` and `agents.prompt: {prompt}`.
"""


def model_card(facts: dict[str, Any]) -> str:
    """The card of a student.

    Args:
        facts: What ``student.json`` holds.
    """
    pairs, settings = facts["pairs"], facts["settings"]
    teacher = pairs.get("teacher", {})
    return _CARD.format(
        parameters=facts["parameters"],
        layers=settings["layers"],
        hidden=settings["hidden"],
        vocabulary=settings["vocabulary"],
        example_in="bought: <title>; <title>; ...",
        events=pairs.get("events", "not said"),
        cutoff=pairs.get("cutoff", "a day not said"),
        lines=pairs.get("lines", 0),
        moments=pairs.get("moments", 0),
        pairs=pairs.get("pairs", 0),
        taken=pairs.get("taken", 0.0),
        ease=teacher.get("ease", "not said"),
        item_knn=teacher.get("item_knn", "not said"),
        rising=teacher.get("rising", "not said"),
        cpu_seconds=facts["cpu_seconds"],
        seed=settings["seed"],
        loss=", ".join(f"{name} {value:.2f}" for name, value in facts["loss"].items()),
        prompt=facts["prompt"],
    )


def write_card(folder: Path) -> None:
    """Write ``README.md`` into a student's folder, from its ``student.json``."""
    facts = json.loads((folder / "student.json").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
