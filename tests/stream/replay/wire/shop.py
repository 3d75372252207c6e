"""A capture with changes of rules and catalogue, and a cassette of all the calls that its replay makes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from agents.settings import AgentSettings
from index.settings import EncoderSettings, IndexSettings
from stream.gate.rules.in_force import Boundary
from stream.gate.rules.ruleset import parse_rules
from stream.replay import recorded_encoder, thinking
from stream.replay.calls import Mode
from stream.replay.replaying import Setup, Wish, replay
from stream.replay.rules_kept import RulesKept
from stream.replay.wire.on_the_wire import Wire
from stream.settings import KafkaSettings, RedisSettings, StreamSettings
from tests.stream.replay import shop
from tests.stream.replay.captures import START, write_capture

if TYPE_CHECKING:
    import pytest

    from stream.replay.capture import Capture

ROOT = Path(__file__).parents[4]
RULES = (
    "version: 1\nrules:\n  - {id: %s, when: {types: [view, click], count: %d, within: 12h}, cooldown: 10m}\n"
)
WIRE = Wire(("env", f"--chdir={ROOT}", sys.executable, "-m", "console", "worker"))


def setup_of(folder: Path, brokers: str = "", redis_url: str = "redis://nowhere") -> Setup:
    """Settings under which nothing is loaded that the cassette does not stand for."""
    kafka = KafkaSettings(brokers=brokers or "127.0.0.1:1", prefix="live.", session_timeout_s=6)
    return Setup(
        StreamSettings(kafka=kafka, redis=RedisSettings(url=SecretStr(redis_url), prefix="live:")),
        AgentSettings.model_validate({"runtime": "server", "server": {"model": "next"}}),
        IndexSettings(
            catalog=folder / "catalog",
            encoder=EncoderSettings(kind="server", url="http://x", model="letters"),
        ),
    )


def capture_of(folder: Path, events: int = 600) -> Capture:
    """Some shoppers' days, with a change of rules in the middle and items that come and go."""
    history = shop.history(events, shoppers=11)
    end = history[-1]["ts"]
    third = (end - START) // 3
    changes: list[tuple[int, dict[str, Any]]] = []
    for n in range(6):
        item = {
            "op": "upsert",
            "item_id": f"new{n}",
            "title": f"fresh {shop.WORDS[n]} {n}",
            "category": "Food",
        }
        changes.append((START + third + n * third // 6, item))
    for n in range(4):  # other words for what is new, and for what was there
        item = {
            "op": "upsert",
            "item_id": ("new0", "new1", "3", "4")[n],
            "title": f"odd {shop.WORDS[-n]} tin",
            "category": "Home",
        }
        changes.append((START + third + third // 2 + n, item))
    changes.append((START + 2 * third, {"op": "remove", "item_id": "new2"}))
    changes.append((START + 2 * third + 1, {"op": "nonsense"}))
    capture = write_capture(
        folder, history, partitions=3, changes=[one for one in changes if "item_id" in one[1]]
    )
    one, two = RULES % ("three", 3), RULES % ("two", 2)
    digests = [parse_rules(text, "rules").digest for text in (one, two)]
    kept = RulesKept(texts=dict(zip(digests, (one, two), strict=True)))
    for number, parts in capture.parts().items():
        cuts = {part.topic: _cut(capture, part, START + (end - START) // 2) for part in parts}
        kept.boundaries[str(number)] = [
            Boundary(0, 1, digests[0], {}, 0),
            Boundary(1, 2, digests[1], cuts, 0),
        ]
    capture.manifest.rules = kept.save(folder)
    capture.manifest.save(folder)
    return capture


def _cut(capture: Capture, part: Any, at: int) -> int:
    """Offset of the first record sent at or after a time."""
    return sum(record.timestamp < at for batch in capture.read(part) for record in batch)


def record_cassette(setup: Setup, capture: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Replay in place with the small shop's models, and keep their answers."""
    patch.setattr(thinking, "open_runtime", lambda *_: shop.Next())
    patch.setattr(recorded_encoder, "open_encoder", lambda _: shop.Letters())
    path = folder / "calls.cassette"
    asyncio.run(replay(setup, Wish(capture, folder / "recorded", cassette=path, mode=Mode.RECORD)))
    patch.undo()
    return path
