from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogDamagedError, CatalogError
from index.evaluate.slate import evaluate, split
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import Fused, Ranker, train
from index.ranking.lessons import Lessons, gather

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real  # trains a model

NOW = 120 * DAY_MS


def shop(seed: int = 3, users: int = 80) -> Purchases:
    """Shoppers of two tastes, each of which buys from its own half of forty items."""
    random = np.random.default_rng(seed)
    lines = []
    for user in range(users):
        half = user % 2 * 20
        for day in range(int(random.integers(0, 9)), 130, 9):
            lines += [
                (f"u{user}", f"i{half + item}", day * DAY_MS, 1.0, 1.0 + item)
                for item in random.choice(20, 3, replace=False)
            ]
    return Purchases.of(lines, [f"i{at}" for at in range(40)])


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return train(gather(shop().before(NOW), NOW, ["all"], gaps=(14, 28))["all"], "all")


def test_the_ranker_learns_the_halves_and_comes_back_from_its_file(ranker: Ranker, tmp_path: Path) -> None:
    log = shop()
    cut = split(log, NOW)
    fused = Fused(Knowledge(cut.history, NOW), ranker)
    rows = evaluate(fused, cut.task("all")).rows[:, :15]
    halves = (cut.users % 2)[:, None]
    assert np.mean(rows // 20 == halves) > 0.95
    ranker.save(tmp_path / "ranker.json")
    again = Ranker.load(tmp_path / "ranker.json")
    found = fused.knowledge.candidates(log.histories(cut.users[:5], NOW), novel=False)
    np.testing.assert_allclose(
        again.score(found.features, found.owner), ranker.score(found.features, found.owner)
    )
    assert sum(ranker.importance().values()) == pytest.approx(1.0)


def test_nothing_after_the_moment_reaches_the_training() -> None:
    log = shop()
    early = gather(log.before(NOW), NOW, ["novel"], gaps=(14,))["novel"]
    whole = gather(log, NOW, ["novel"], gaps=(14,))["novel"]
    np.testing.assert_array_equal(early.features, whole.features)
    np.testing.assert_array_equal(early.hit, whole.hit)


def test_candidates_for_novel_slates_were_never_bought() -> None:
    log = shop()
    asked = log.histories([0, 1, 2], NOW)
    found = Knowledge(log.before(NOW), NOW).candidates(asked, novel=True)
    assert not asked.bought(40)[found.owner, found.rows].any()
    assert found.features.shape == (len(found.rows), len(FEATURES))


def test_a_shopper_has_no_more_candidates_than_asked_for_beside_what_they_bought() -> None:
    log = shop()
    asked = log.histories([0, 1, 2], NOW)
    knowledge = Knowledge(log.before(NOW), NOW)
    for novel in (True, False):
        found = knowledge.candidates(asked, novel=novel, most=5)
        others = ~asked.bought(40)[found.owner, found.rows]
        assert (np.bincount(found.owner[others], minlength=3) <= 5).all()
        assert len(found.rows)


def test_a_log_too_short_to_train_on_says_so() -> None:
    with pytest.raises(CatalogError, match="too short"):
        gather(shop(users=2).before(10 * DAY_MS), 10 * DAY_MS, ["novel"])


def test_a_damaged_ranker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ranker.json"
    path.write_text('{"rule": "all", "features": [], "boosters": []}', encoding="utf-8")
    with pytest.raises(CatalogDamagedError, match="other features"):
        Ranker.load(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CatalogDamagedError, match="no readable ranker"):
        Ranker.load(path)


def test_two_moments_share_what_is_the_same_and_learn_what_they_would_alone() -> None:
    log = shop()
    lessons = Lessons(log, ["novel"])
    for now in (NOW, NOW - 14 * DAY_MS):
        shared = lessons.samples(now, (14, 28))["novel"]
        alone = gather(log, now, ["novel"], gaps=(14, 28))["novel"]
        np.testing.assert_array_equal(shared.features, alone.features)
        np.testing.assert_array_equal(shared.hit, alone.hit)
        np.testing.assert_array_equal(shared.sizes, alone.sizes)


def test_all_hits_and_about_a_quarter_of_the_misses_are_trained_on() -> None:
    samples = gather(shop().before(NOW), NOW, ["all"], gaps=(14,))["all"]
    assert samples.sizes.sum() == len(samples.hit)
    assert 0 < samples.hit.mean() < 0.6
