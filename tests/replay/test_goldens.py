"""What the packaged rules, prompts and ranking make of simulated shoppers is what they made of them before.

A test that fails here shows that triggers, demands or slates are others than they were. Where that was meant:
``pytest tests/replay --update-goldens``; where a prompt or a model's settings were changed, ``python -m tests.replay.make`` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stream.replay.comparing.expected import check, told
from stream.replay.comparing.golden import read_golden
from stream.replay.errors import RunError
from stream.replay.replaying import Wish
from tests.replay import make

if TYPE_CHECKING:
    from pathlib import Path

    from console.testing import AssertSameSlates
    from stream.replay.replaying import Setup

BAZAAR = "captures/bazaar"
CASSETTE = "captures/bazaar.cassette"
RULES = "captures/rules.yaml"


def test_the_language_model_leads_to_the_same_slates(assert_same_slates: AssertSameSlates) -> None:
    found = assert_same_slates(BAZAAR, "goldens/model.jsonl", cassette=CASSETTE, rules=RULES)
    assert found.sides[1].rungs["llm"] > 0
    assert found.sides[1].model_calls == 0


def test_demands_by_code_lead_to_the_same_slates(assert_same_slates: AssertSameSlates) -> None:
    found = assert_same_slates(BAZAAR, "goldens/code.jsonl", cassette=CASSETTE, rules=RULES, model=False)
    assert "llm" not in found.sides[1].rungs


def test_the_packaged_rules_fire_where_they_fired(assert_same_slates: AssertSameSlates) -> None:
    assert_same_slates(BAZAAR, "goldens/rules.jsonl.gz", slates=False)


@pytest.mark.parametrize(
    ("tolerances", "passes"),
    [
        (None, False),
        ({"slates.changed": 0.5}, False),
        ({"overlap.10": 1.0, "triggers.lost": 0.0}, True),
        ({"overlap.10": 0.0}, False),
        ({"kendall": 2.0, "rbo": 1.0, "hits.click": 1.0, "hits.order": 1.0}, True),
    ],
)
def test_other_demands_are_found_and_told_of_unless_they_are_tolerated(
    replay_setup: Setup, tmp_path: Path, tolerances: dict[str, float] | None, passes: bool
) -> None:
    golden = make.HERE / "goldens" / "model.jsonl"
    wish = Wish(
        make.CAPTURE,
        tmp_path / "run",
        rules=make.RULES,
        model=False,
        cassette=make.CASSETTE,
        mode=make.Mode.STRICT,
    )
    outcome = check(replay_setup, wish, golden, tolerances=tolerances)
    assert (not outcome.breaches) is passes
    if passes:
        assert outcome.page is None
        return
    assert {one.metric for one in outcome.breaches} <= set(
        tolerances or ("demands.changed", "slates.changed", "rungs.moved")
    )
    text = told(outcome, golden, wish.run)
    who = outcome.difference.shoppers[0].user
    assert who in text
    assert "--update-goldens" in text
    assert outcome.page is not None
    assert who in outcome.page.read_text()


def test_a_golden_is_of_one_capture_and_whole(replay_setup: Setup, tmp_path: Path) -> None:
    wish = Wish(make.CAPTURE, tmp_path / "run", slates=False)
    with pytest.raises(RunError, match="There is no golden"):
        check(replay_setup, wish, tmp_path / "none.jsonl")
    golden = make.HERE / "goldens" / "model.jsonl"
    run, rows = read_golden(golden)
    assert len(rows) == run.triggers > 20
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(golden.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RunError, match=f"says {run.triggers} triggers and has {run.triggers - 1}"):
        read_golden(cut)
    cut.write_text(golden.read_text().replace(run.told.capture_sha256, "0" * 64))
    with pytest.raises(RunError, match="of another capture"):
        check(replay_setup, wish, cut)
    with pytest.raises(RunError, match="no metric"):
        check(
            replay_setup,
            Wish(make.CAPTURE, tmp_path / "again", slates=False),
            golden,
            tolerances={"overlap": 1},
        )
