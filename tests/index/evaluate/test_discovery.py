from __future__ import annotations

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.evaluate.discovery import at_shares
from index.evaluate.slate import split
from index.ranking.features import Knowledge
from index.ranking.learned import Fused, train
from index.ranking.lessons import gather

pytestmark = pytest.mark.real  # trains a model

NOW = 120 * DAY_MS


def shop() -> Purchases:
    """Shoppers of two tastes; twelve items come new into the shop in the last weeks and few know them."""
    random = np.random.default_rng(8)
    lines = []
    for user in range(90):
        for day in range(int(random.integers(0, 9)), 140, 9):
            picked = random.choice(40, 3, replace=False) + user % 2 * 40
            lines += [(f"u{user}", f"i{item}", day * DAY_MS, 1.0, 2.0) for item in picked.tolist()]
            if day > 100 and user % 5 == 0:
                lines.append((f"u{user}", f"i{80 + int(random.integers(12))}", day * DAY_MS, 1.0, 2.0))
    return Purchases.of(lines, [f"i{at}" for at in range(92)])


def test_the_share_is_met_and_what_is_new_is_shown_more() -> None:
    log = shop()
    cut = split(log, NOW)
    task = cut.task("novel")
    ranker = train(gather(cut.history, NOW, ["novel"], gaps=(14, 28))["novel"], "novel")
    fused = Fused(Knowledge(cut.history, NOW), ranker)
    category = np.arange(92) // 10
    names = [log.users[user] for user in task.users]
    none, tenth, fifth = at_shares(fused, task, [0.0, 0.1, 0.2], names=names, category=category)
    assert none.met == 0.0
    assert none.loss.mean == 0.0
    for one in (tenth, fifth):
        assert one.short == 0
        assert one.met == pytest.approx(one.share, abs=0.01)
        assert one.farthest < 0.01
        assert one.exposure["any"] >= one.met
    assert fifth.exposure["any"] >= tenth.exposure["any"] >= none.exposure["any"]
    assert none.loss.low <= 0 <= none.loss.high
    assert 0 < none.coverage_50 <= 1
    assert 1 <= none.categories <= 10
    assert none.novelty > 0
