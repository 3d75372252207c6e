from __future__ import annotations

import numpy as np

from index.channels.fresh import Fresh, first_sold, trend
from index.channels.neighbours import SimilarShoppers
from index.channels.popularity import CategoryPopularity, Habit, Popularity, popularity
from index.channels.purchases import DAY_MS, Purchases

NOW = 100 * DAY_MS
LINES = (
    [("u1", "old", day) for day in (1, 2, 3, 4)]
    + [("u2", "steady", day) for day in range(40, 100, 5)]
    + [("u3", "new", day) for day in (95, 96, 97, 98)]
    + [("u1", "new", 99)]
)
LOG = Purchases.of((user, item, day * DAY_MS, 1, 1.0) for user, item, day in LINES)
OLD, STEADY, NEW = (LOG.items.index(name) for name in ("old", "steady", "new"))


def test_popularity_counts_the_days_asked_for_and_fades() -> None:
    assert popularity(LOG, NOW, days=30)[OLD] == 0
    assert popularity(LOG, NOW)[OLD] == 4
    assert popularity(LOG, NOW, half_life=1.0)[NEW] == sum(0.5**age for age in (1, 2, 3, 4, 5))


def test_a_new_item_trends_and_a_steady_one_does_not() -> None:
    found = trend(LOG, NOW)
    assert found[NEW] > 3
    assert 0.5 < found[STEADY] < 2
    assert first_sold(LOG, NOW)[OLD] == 99
    fresh = Fresh.learn(LOG, NOW).score(LOG.histories([0], NOW))[0]
    assert fresh[NEW] > fresh[STEADY]
    assert fresh[OLD] == -np.inf


def test_habits_come_before_everything_else() -> None:
    habit = Habit(Popularity.learn(LOG, NOW))
    scores = habit.score(LOG.histories([LOG.users.index("u1")], NOW))[0]
    assert np.argsort(-scores).tolist() == [OLD, NEW, STEADY]


def test_categories_follow_the_shopper() -> None:
    category = np.zeros(3, dtype=np.int64)
    category[STEADY] = 1
    channel = CategoryPopularity(popularity(LOG, NOW, half_life=30.0), category, smoothing=0.1)
    u3, u2 = channel.score(LOG.histories([LOG.users.index("u3"), LOG.users.index("u2")], NOW))
    assert u3[NEW] > u3[STEADY]
    assert u2[STEADY] > u2[NEW]


def test_similar_shoppers_bring_what_they_bought() -> None:
    channel = SimilarShoppers.learn(LOG, NOW, k=1)
    u3 = channel.score(LOG.histories([LOG.users.index("u3")], NOW))[0]
    assert u3[OLD] > 0  # from u1, who bought the new one as well
    assert u3[STEADY] == 0
