"""The words of a built catalogue that changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agents import AgentSettings
from index import Item, Recall, build_catalog
from index.living import LivingRecall, Upsert
from stream.infer.spelling import LivingSpelling, living_spelling
from tests.index.conftest import WordEncoder

if TYPE_CHECKING:
    from pathlib import Path


def _recall(folder: Path, *rows: dict[str, str]) -> Recall:
    encoder, source = WordEncoder(), folder / "items.jsonl"
    source.write_text("".join(json.dumps({"item_id": f"i{at}", **row}) + "\n" for at, row in enumerate(rows)))
    build_catalog(source, folder / "catalog", encoder)
    return Recall.open(folder / "catalog", encoder)


def test_titles_brands_and_categories_are_known_and_what_comes_later_after_a_refresh(tmp_path: Path) -> None:
    built = _recall(tmp_path, {"title": "Paper Lanterns", "category": "Garden", "brand": "Moonlight"})
    living = LivingRecall(built)
    spelling = LivingSpelling(built)
    spelling.follow(living)
    assert [spelling.mend(one) for one in ("lantren", "gardne", "moonligth")] == [
        "lanterns",
        "garden",
        "moonlight",
    ]
    assert spelling.mend("hammok") is None
    assert not spelling.stale
    living.apply([Upsert(Item(item_id="new", title="Striped Hammock", category="Garden"))])
    assert spelling.stale
    spelling.refresh()
    assert spelling.mend("hammok") == "hammock"
    assert not spelling.stale


def test_another_build_is_learnt_anew(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    spelling = LivingSpelling(_recall(tmp_path / "one", {"title": "Paper Lantern", "category": "Garden"}))
    spelling.follow(_recall(tmp_path / "two", {"title": "Striped Hammock", "category": "Garden"}))
    assert spelling.stale
    spelling.refresh()
    assert (spelling.mend("lantren"), spelling.mend("hammok")) == (None, "hammock")


def test_where_searches_are_left_as_they_are_nothing_is_learnt(tmp_path: Path) -> None:
    recall = _recall(tmp_path, {"title": "Paper Lantern", "category": "Garden"})
    assert living_spelling(AgentSettings(mend=False), recall) is None
    assert living_spelling(AgentSettings(explicit=0), recall) is None
    assert living_spelling(AgentSettings(), recall) is not None
