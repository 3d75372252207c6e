from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogDamagedError, CatalogError
from index.ranking.live_ranker import LIVE_RANKER
from index.ranking.training import Course, Learnt

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real  # trains a model


def shop(users: int) -> Purchases:
    """Shoppers of two tastes who come back every nine days."""
    random = np.random.default_rng(5)
    lines = []
    for user in range(users):
        for day in range(user % 9, 150, 9):
            picked = random.choice(20, 3, replace=False) + user % 2 * 20
            lines += [(f"u{user}", f"i{item}", day * DAY_MS, 1.0, 2.0) for item in picked.tolist()]
    return Purchases.of(lines, [f"i{at}" for at in range(40)])


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    course = Course(shop(60))
    return course.learn(held_out=course.check())


def test_what_is_learnt_comes_back_and_replaces_what_was_there(learnt: Learnt, tmp_path: Path) -> None:
    place = tmp_path / "ranking"
    learnt.save(place)
    learnt.save(place)
    again = Learnt.open(place)
    assert again.items == learnt.items
    assert set(again.rankers) == {"novel", "all"}
    np.testing.assert_array_equal(again.neighbours.partners, learnt.neighbours.partners)
    assert again.manifest["lines"] == learnt.manifest["lines"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ranking"]


def test_the_held_out_weeks_are_measured_for_both_rules(learnt: Learnt) -> None:
    held_out = learnt.manifest["held_out"]
    for rule in ("novel", "all"):
        assert 0 < held_out[rule]["fused"]["NDCG@20"] <= 1
        assert 0 < held_out[rule]["ease"]["HR@50"] <= 1


def test_a_live_ranker_in_the_folder_stays(learnt: Learnt, tmp_path: Path) -> None:
    place = tmp_path / "ranking"
    place.mkdir()
    (place / LIVE_RANKER).write_text("{}")
    learnt.save(place)
    learnt.save(place)
    assert (place / LIVE_RANKER).read_text() == "{}"
    assert Learnt.open(place).items == learnt.items


def test_the_check_shares_its_moments_and_changes_nothing(learnt: Learnt) -> None:
    alone = Course(shop(60)).learn()
    assert alone.manifest["importance"] == learnt.manifest["importance"]


def test_an_altered_file_is_refused(learnt: Learnt, tmp_path: Path) -> None:
    place = tmp_path / "ranking"
    learnt.save(place)
    ranker = place / "ranker-all.json"
    content = json.loads(ranker.read_text())
    content["rule"] = "novel"
    ranker.write_text(json.dumps(content))
    with pytest.raises(CatalogDamagedError, match=r"ranker-all\.json is not what the manifest says"):
        Learnt.open(place)
    ranker.unlink()
    with pytest.raises(CatalogDamagedError, match="no readable ranking"):
        Learnt.open(place)


def test_a_folder_of_something_else_is_left_alone(learnt: Learnt, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(CatalogError, match="holds no ranking"):
        learnt.save(tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_too_few_shoppers_are_an_error_that_counts_them() -> None:
    with pytest.raises(CatalogError, match="Only 5 of 5 shoppers"):
        Course(shop(5))
