"""Makes what the goldens stand on: a catalogue, a capture of simulated shoppers, and the real models' answers.

    python -m tests.replay.make

All shoppers and items are invented. Answers of the language model and of the encoder are recorded from the packaged
models (extra ``local``); the tests then need neither. Give the same capture again, and the same answers, as long as prompts,
models and settings are the same. Where one of them was changed on purpose: this first, then
``pytest tests/replay --update-goldens``.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.settings import AgentSettings
from index import build_catalog
from index.settings import IndexSettings
from stream.replay.calls import Mode
from stream.replay.cassette import Cassette
from stream.replay.recorded_encoder import recorded_encoder
from stream.replay.replaying import Setup, Wish, replay
from stream.settings import StreamSettings
from stream.shoppers import Population, ShopperRule
from tests.stream.replay.captures import START, write_capture

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CAPTURE = HERE / "captures" / "bazaar"
CASSETTE = HERE / "captures" / "bazaar.cassette"
ITEMS = HERE / "captures" / "bazaar.items.jsonl"
RULES = HERE / "captures" / "rules.yaml"

SHOPPERS, DAYS, MOST_EVENTS = 14, 3.0, 420

_RULES = """version: 1
rules:
  - id: five-views
    when: {types: [view], count: 5, within: 30m}
    cooldown: 10m
  - id: search
    when: {types: [search], count: 2, within: 30m}
    cooldown: 30m
"""

_KINDS = {
    "Kitchen": ("teapot", "baking tin", "bread knife", "salad bowl", "pepper mill"),
    "Garden": ("watering can", "plant pot", "bird feeder", "string lights"),
    "Bedroom": ("duvet cover", "reading lamp", "wool blanket", "bedside table"),
    "Party": ("paper napkins", "birthday candles", "balloon set", "gift wrap"),
}
_LOOKS = ("red", "blue", "green", "vintage", "striped", "wooden", "ceramic", "small", "large")


def items() -> Iterator[dict[str, Any]]:
    """The catalogue: what there is of each kind in some of the looks."""
    dice = random.Random(5)
    number = 0
    for category, kinds in _KINDS.items():
        for kind in kinds:
            for look in sorted(dice.sample(_LOOKS, 7)):
                yield {
                    "item_id": f"b{number:03d}",
                    "title": f"{look} {kind}",
                    "category": category,
                    "price": round(dice.uniform(2, 60), 2),
                    "popularity": dice.randrange(1, 200),
                }
                number += 1


def events() -> list[dict[str, Any]]:
    """What the shoppers do."""
    rule = ShopperRule(sessions_per_week=6, new_share=0.4)
    drawn = Population(items(), shoppers=SHOPPERS, days=DAYS, start=START, seed=3, rule=rule)
    return list(drawn.events(limit=MOST_EVENTS))


def build(folder: Path, mode: Mode) -> Path:
    """Build the catalogue with the vectors that are in the cassette."""
    settings = IndexSettings()
    with Cassette(CASSETTE, mode) as cassette:
        build_catalog(ITEMS, folder / "catalog", recorded_encoder(settings.encoder, cassette))
    return folder / "catalog"


def setup(catalog: Path) -> Setup:
    """Settings as they are where nothing is configured."""
    return Setup(StreamSettings(), AgentSettings(), IndexSettings(catalog=catalog))


def main() -> None:
    """Make it all anew."""
    shutil.rmtree(CAPTURE.parent, ignore_errors=True)
    CAPTURE.parent.mkdir(parents=True)
    RULES.write_text(_RULES)
    ITEMS.write_text("".join(json.dumps(item) + "\n" for item in items()))
    write_capture(CAPTURE, events())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with_all = setup(build(folder, Mode.RECORD))
        for name, model in (("model", True), ("code", False)):
            wish = Wish(CAPTURE, folder / name, rules=RULES, model=model, cassette=CASSETTE, mode=Mode.REPLAY)
            run = asyncio.run(replay(with_all, wish))
            sys.stdout.write(f"{name}: {run.events} events, {run.triggers} triggers, {run.rungs}\n")


if __name__ == "__main__":
    main()
