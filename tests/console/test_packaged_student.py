"""The student that comes along for the demo's shop."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from agents.distill.form import PROMPT, phrases
from agents.runtime.choice import known_share
from console.demo.run import PLAYED_SINCE

_STUDENT = Path(str(files("agents.runtime.student"))) / "packaged" / "completejourney"


def test_it_learnt_from_nothing_that_the_demo_plays() -> None:
    facts = json.loads((_STUDENT / "student.json").read_text())
    assert facts["pairs"]["events"] == "completejourney"
    assert facts["pairs"]["cutoff"] == PLAYED_SINCE["completejourney"]
    assert facts["prompt"] == PROMPT


def test_it_is_small_and_has_its_card_and_its_notice() -> None:
    held = {file.name: file.stat().st_size for file in _STUDENT.iterdir()}
    assert {
        "README.md",
        "NOTICE.txt",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "phrases.tsv",
    } <= held.keys()
    assert sum(held.values()) < 20_000_000
    assert "Complete Journey" in (_STUDENT / "NOTICE.txt").read_text()
    assert PLAYED_SINCE["completejourney"] in (_STUDENT / "README.md").read_text()


@pytest.mark.real
def test_it_knows_the_titles_of_the_demos_catalogue() -> None:
    from index.items.titles import short_title
    from stream.datasets import open_dataset

    titles = [short_title(row["title"]) for row in open_dataset("completejourney").catalog()]
    assert known_share(_STUDENT, titles) > 0.95
    assert len(phrases(titles)) > 7_000
