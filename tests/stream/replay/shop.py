"""A small shop for replays: a catalogue on disk, an encoder and a runtime that need no model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.ladder import Ladder
from agents.runtime import Generation
from agents.settings import AgentSettings
from index import build_catalog
from index.living import LivingRecall
from index.recall import Recall
from stream.replay.in_place import Thinking, still
from stream.settings import InferSettings, SlateSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agents.runtime import Request, Runtime
    from index.encoders.encoder import Encoder

WORDS = ["milk", "bread", "soap", "tea", "rice", "salt", "lamp", "rope"]


class Letters:
    """An encoder that counts letters: enough to tell milk from soap."""

    name, dimensions, fingerprint = "letters", 26, "sha256:letters"

    def __init__(self) -> None:
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.texts += len(texts)
        counts = np.array(
            [[text.lower().count(chr(97 + n)) + 0.01 for n in range(26)] for text in texts], "f4"
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Next:
    """A runtime that wants the word after the last one that it is told of."""

    name, model = "local", "next"

    def __init__(self) -> None:
        self.calls = 0

    async def prepare(self, prompt: object, structure: object) -> None:
        """Nothing."""

    async def generate(self, requests: Sequence[Request], deadline: float | None = None) -> list[Any]:
        self.calls += len(requests)
        answers = []
        for request in requests:
            told = [word for word in WORDS if word in request.text.lower()]
            wanted = f"fresh {WORDS[(WORDS.index(told[-1]) + 1) % len(WORDS)]}" if told else "a surprise"
            answers.append(Generation(json.dumps({"queries": [wanted]}), 40, 5, "stop", (0.7,)))
        return answers

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing."""


def build(folder: Path) -> Path:
    items = folder / "items.jsonl"
    rows = [
        {
            "item_id": str(n),
            "title": f"{WORDS[n % 8]} number {n}",
            "category": ("Food", "Home")[n % 8 in {2, 6, 7}],
        }
        for n in range(80)
    ]
    for count in (70, 80):  # the last ten are new on the day of the second build
        items.write_text("\n".join(map(json.dumps, rows[:count])))
        build_catalog(items, folder / "catalog", Letters())
    return folder / "catalog"


def thinking_of(catalog: Path, runtime: Runtime | None = None, encoder: Encoder | None = None) -> Thinking:
    used = runtime or Next()
    recall = Recall.open(catalog, encoder or Letters())
    return Thinking(
        Ladder(used, AgentSettings(), clock=still),
        LivingRecall(recall),
        InferSettings(),
        SlateSettings(),
        30.0,
        lambda: (None, 0),
    )


def history(count: int, shoppers: int = 7) -> list[dict[str, Any]]:
    """Views, clicks, searches and orders of several shoppers over some days."""
    start, events = 1_746_000_000_000, []
    for n in range(count):
        kind = ("view", "view", "search", "click", "order")[n % 5]
        event = {
            "event_id": f"e{n}",
            "user_id": f"u{n * 13 % shoppers}",
            "type": kind,
            "ts": start + n * 97_000,
        }
        event |= {"query": WORDS[n % 8]} if kind == "search" else {"item_id": str(n * 31 % 80)}
        events.append(event | ({"quantity": 1, "amount": 2.5} if kind == "order" else {}))
    return events
