"""A replay on the wire has names of its own, and is refused production's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stream.gate.rules.ruleset import parse_rules
from stream.replay.errors import WireError
from stream.replay.fired import Fired, Firings
from stream.replay.rules_kept import RulesKept
from stream.replay.wire.plan import Asked, Names, Plan, names_for
from stream.replay.wire.preparing import wire_settings
from stream.replay.wire.publisher import Publisher
from stream.settings import GateSettings, KafkaSettings, RedisSettings, StreamSettings
from tests.stream.replay.wire.shop import RULES, capture_of, setup_of

if TYPE_CHECKING:
    from pathlib import Path

LIVE = StreamSettings(kafka=KafkaSettings(prefix="live."), redis=RedisSettings(prefix="live:"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("live."), "topics 'live.'"),
        (Asked(""), "topics ''"),
        (Asked("replay.", "live:"), "keys 'live:'"),
        (Asked("", ""), "topics '' and keys ''"),
    ],
)
def test_productions_own_names_are_refused_unless_it_was_said(asked: Asked, said: str) -> None:
    with pytest.raises(WireError, match=said) as told:
        names_for("run", LIVE, asked, production=False)
    assert "--yes-production" in told.value.way_out
    names, own = names_for("run", LIVE, asked, production=True)
    assert not own
    assert names.topics == (asked.topics if asked.topics is not None else names.topics)


def test_without_prefixes_no_two_replays_share_a_name(tmp_path: Path) -> None:
    one, own = names_for("last friday/2", LIVE, Asked(), production=False)
    other, _ = names_for("last friday/2", LIVE, Asked(), production=False)
    assert own
    assert one.topics != other.topics
    assert one.keys != other.keys
    assert one.topics.startswith("replay-last-friday-2-")
    KafkaSettings(prefix=one.topics)
    RedisSettings(prefix=one.keys)
    with pytest.raises(WireError, match="cannot stand before topics"):
        names_for("run", LIVE, Asked("a b"), production=False)


def test_a_plan_is_read_as_it_was_written_and_another_file_is_refused(tmp_path: Path) -> None:
    plan = Plan(names=Names("a.", "a:"), own=True, brokers="b:1", topics=["a.views"], rules="", given=False,
                kept=RulesKept(), until=5, changes=[1, 2])  # fmt: skip
    assert Plan.load(plan.save(tmp_path)) == plan
    (tmp_path / "wire.json").write_text("{}")
    with pytest.raises(WireError, match="not the plan of a replay"):
        Plan.load(tmp_path / "wire.json")


def test_boundaries_keep_their_place_among_the_events_that_are_published(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "capture", events=300)
    kept = RulesKept.load(tmp_path / "capture", capture.manifest.rules)
    users = frozenset({"u1", "u4", "u7"})
    kafka = wire_settings(setup_of(tmp_path), capture, Names("r.", "r:")).stream.kafka
    publisher = Publisher(capture, kafka, GateSettings(), users=users)
    moved = publisher.moved(kept)
    assert moved.texts == kept.texts
    for number, parts in capture.parts().items():
        first, second = moved.boundaries[str(number)]
        assert set(first.offsets.values()) == {0}
        cuts = kept.boundaries[str(number)][1].offsets
        for part in parts:
            before = [
                record
                for batch in capture.read(part, frozenset(user.encode() for user in users))
                for record in batch
                if record.offset < cuts[part.topic]
            ]
            assert second.offsets[f"r.{part.topic}"] == len(before)
    assert any(second.offsets.values() for _, second in moved.boundaries.values())


def test_the_recorded_rules_of_this_capture_switch_in_the_middle(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "capture", events=300)
    kept = RulesKept.load(tmp_path / "capture", capture.manifest.rules)
    rules = parse_rules(RULES % ("two", 2), "rules")
    fired = Firings(capture, GateSettings(), rules=None, kept=kept, otherwise=rules)
    assert {one.trigger.rule for one in fired.stream(catalog=False) if isinstance(one, Fired)} == {
        "two",
        "three",
    }
