"""Runs of the small shop, for what compares them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stream.gate.rules.ruleset import parse_rules
from stream.replay.fired import Firings
from stream.replay.in_place import InPlace
from stream.replay.rules_kept import RulesKept
from stream.replay.run import RunWriter, Told
from stream.settings import GateSettings
from tests.stream.replay import shop

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.capture import Capture
    from stream.replay.run import Run

VIEWS = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 12h}}\n"
ORDERS = "  - {id: orders, when: {types: [order], count: 1, within: 1h}}\n"


class Other(shop.Next):
    """A runtime that wants something else of some shoppers."""

    async def generate(self, requests: Any, deadline: float | None = None) -> list[Any]:
        answers = await super().generate(requests, deadline)
        for answer in answers[::2]:
            object.__setattr__(answer, "text", '{"queries":["a lamp and a rope"]}')
        return answers


def run(capture: Capture, folder: Path, catalog: Path | None, rules: str, runtime: Any = None) -> Run:
    """Replay under these rules; without a catalogue to the triggers alone."""
    parsed = parse_rules(rules, "r")
    with RunWriter(folder) as writer:
        firings = Firings(
            capture,
            GateSettings(),
            rules=parsed,
            kept=RulesKept(),
            otherwise=parsed,
            did=lambda acts: writer.add("acts", acts),
        )
        told = Told(name=folder.name, capture="c", capture_sha256=capture.sha256, rules=parsed.digest)
        thinking = shop.thinking_of(catalog, runtime) if catalog is not None else None
        return asyncio.run(InPlace(firings, thinking, writer).run(told))
