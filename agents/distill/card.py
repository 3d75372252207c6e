"""The model card: what a student is, what it was made from, how good it is, and what it may not be used for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CARD", "FIGURES", "model_card", "write_card"]

CARD: Final = "README.md"
FIGURES: Final = "evaluation.json"
"""What `nearline distill evaluate` measured, beside the student."""

_CARD: Final = """---
pipeline_tag: text-generation
library_name: transformers
tags: [recommendation, distillation, nearline]
---

# A shop's demands, distilled

A language model of {parameters:,} parameters ({kind}, {layers} layers of width {hidden}, {vocabulary:,} pieces: words and titles
of the shop's catalogue). It reads what one shopper had and writes what they will want next, as titles of the catalogue:

    bought: <title>; <title>; ...
    -> {{"queries":["...","..."]}}

## Made from

- Purchases: `{events}`, those before {cutoff} (00:00 UTC): {lines:,} order lines, {moments:,} moments, {pairs:,} pairs.
- Teachers: EASE^R (weight {ease}), item-kNN ({item_knn}), what is rising ({rising}); {taken:.0%} of the newest pairs' weight is what
  was really bought next.
- {made_from} {cpu_seconds:,.0f} CPU seconds of training; seed {seed}.

The licence of the purchases applies to what is derived from them: give its notice along with this folder. The student knows
the titles of the shop and who buys what with what; treat it as confidential if the log is.

## Figures

Cross-entropy with the teachers while training, nats a piece: {loss}.

{figures}

## Not for

Other shops, other languages than the catalogue's, questions, or anything but writing searches of this catalogue. It
repeats what shoppers of the past did, their seasons and biases with it: train it again when the catalogue or the season turns.

## Use

In process: `agents.runtime: student` and `agents.student.model: FOLDER`. Behind a server: `vllm serve FOLDER --dtype float32`, with
`agents.runtime: server`, `agents.server.mode: completion` and `agents.prompt: {prompt}`.
"""
_FROM_NOTHING: Final = "Trained from nothing; no other model's weights or texts are in it."
_KINDS: Final = {"llama": "Llama architecture", "gemma3_text": "Gemma 3 architecture"}
_NOT_MEASURED: Final = """How good its demands are, `nearline distill evaluate FOLDER --events FILE` measures on purchases after {cutoff}, and
`nearline eval demand` beside other ways."""
_MEASURED: Final = """By `nearline distill evaluate`, on {shoppers:,} shoppers of `{events}` and what they first bought on the next day of theirs since
{cutoff}; in brackets 95 % of the bootstrap over shoppers.

| | |
| --- | --- |
| Recall@50 of its demands alone | {recall} |
| NDCG@20 | {ndcg} |
| Recall@50, times that of somebody else's demands | {ratio} |
| nats a title of what was bought next | {nats:.2f} |
| the same of somebody else, by what everybody wants | {nats_swapped:.2f}, {nats_usual:.2f} |
| answers of the form when nothing constrains it | {valid:.1%} of {asked:,} |
| tokens read and written a CPU second | {tokens:,.0f} |"""


def model_card(
    facts: Mapping[str, Any], config: Mapping[str, Any], figures: Mapping[str, Any] | None = None
) -> str:
    """The card of a student.

    Args:
        facts: What ``student.json`` holds.
        config: What ``config.json`` holds.
        figures: What `FIGURES` holds; None where it was not measured.
    """
    pairs = facts["pairs"]
    teacher = pairs.get("teacher", {})
    cutoff = pairs.get("cutoff", "a day not said")
    return _CARD.format(
        parameters=facts["parameters"],
        kind=_KINDS.get(str(config.get("model_type")), str(config.get("model_type"))),
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        vocabulary=config["vocab_size"],
        made_from=facts.get("made_from", _FROM_NOTHING),
        events=pairs.get("events", "not said"),
        cutoff=cutoff,
        lines=pairs.get("lines", 0),
        moments=pairs.get("moments", 0),
        pairs=pairs.get("pairs", 0),
        taken=pairs.get("taken", 0.0),
        ease=teacher.get("ease", "not said"),
        item_knn=teacher.get("item_knn", "not said"),
        rising=teacher.get("rising", "not said"),
        cpu_seconds=facts["cpu_seconds"],
        seed=facts["settings"]["seed"],
        loss=", ".join(f"{name} {value:.2f}" for name, value in facts["loss"].items()),
        figures=_measured(figures) if figures else _NOT_MEASURED.format(cutoff=cutoff),
        prompt=facts["prompt"],
    )


def write_card(folder: Path) -> None:
    """Write the card into a student's folder, from its ``student.json``, ``config.json`` and what was measured of it.

    Raises:
        DistillError: one of them cannot be read.
    """
    try:
        facts, config = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("student.json", "config.json")
        )
        figures = (
            json.loads((folder / FIGURES).read_text(encoding="utf-8"))
            if (folder / FIGURES).is_file()
            else None
        )
        text = model_card(facts, config, figures)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DistillError(
            f"the model card of {folder} cannot be written: {error!r}.",
            way_out="Name a folder that `nearline distill train` finished.",
        ) from error
    (folder / CARD).write_text(text, encoding="utf-8")


def _measured(figures: Mapping[str, Any]) -> str:
    alone, held = figures["alone"]["U2Q"], figures["held_out"]
    return _MEASURED.format(
        shoppers=figures["shoppers"],
        events=figures["events"],
        cutoff=figures["cutoff"],
        recall=_span(alone["Recall@50"]),
        ndcg=_span(alone["NDCG@20"]),
        ratio=_span(figures["swap_ratio"]),
        nats=held["nats_a_title"],
        nats_swapped=held["swapped"],
        nats_usual=held["by_what_everybody_wants"],
        valid=figures["valid_unconstrained"],
        asked=figures["asked_unconstrained"],
        tokens=figures["tokens_a_cpu_second"],
    )


def _span(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
