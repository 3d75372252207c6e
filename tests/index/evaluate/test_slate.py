from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from index.channels.behaviour import Behaviour
from index.channels.popularity import Habit, Popularity
from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogError
from index.evaluate.orders import take_orders
from index.evaluate.slate import compare, evaluate, split

REAL = Path(__file__).parents[4] / "shared/data/online_retail/online_retail_2010-12_2011-09.csv.gz"


def log(*lines: tuple[str, str, float]) -> Purchases:
    return Purchases.of((user, item, int(day * DAY_MS), 1, 1.0) for user, item, day in lines)


LOG = log(
    ("ann", "a", 1), ("ann", "b", 2), ("ann", "b", 10), ("ann", "c", 10.2), ("ann", "d", 11),
    ("bob", "a", 1), ("bob", "b", 1), ("bob", "c", 12),
    ("cat", "a", 3), ("cat", "c", 4), ("cat", "a", 15), ("cat", "e", 15),
    ("dan", "c", 5), ("dan", "a", 6),
)  # fmt: skip


def test_shoppers_have_two_days_before_and_their_targets_are_the_first_day_after() -> None:
    cut = split(LOG, 10 * DAY_MS)
    names = [LOG.users[user] for user in cut.users]
    assert names == ["ann", "cat"]  # bob has one day before, dan none after
    wanted = [{LOG.items[item] for item in target} for target in cut.targets]
    assert wanted == [{"b", "c"}, {"a", "e"}]


def test_novel_leaves_out_what_was_bought_and_counts_the_unseen() -> None:
    task = split(LOG, 10 * DAY_MS).task("novel")
    assert [{LOG.items[item] for item in target} for target in task.targets] == [{"c"}, {"e"}]
    assert task.unseen == 0.5
    rows = evaluate(Popularity.learn(LOG.before(10 * DAY_MS), 10 * DAY_MS), task).rows
    assert [{LOG.items[row] for row in one if row >= 0} for one in rows] == [{"c"}, {"b"}]


def test_all_offers_what_was_bought_and_never_what_was_not_yet_sold() -> None:
    task = split(LOG, 10 * DAY_MS).task("all")
    history = LOG.before(10 * DAY_MS)
    found = evaluate(Habit(Popularity.learn(history, 10 * DAY_MS)), task)
    assert [len([row for row in one if row >= 0]) for one in found.rows] == [3, 3]
    assert found.metrics.values["HR@20"].mean == 1.0
    assert found.metrics.coverage[20] == 1.0


def test_what_comes_after_the_cutoff_changes_no_list() -> None:
    later = log(*[(f"u{at}", "e", 20.0 + at) for at in range(5)])
    more = Purchases.of(
        (part.users[u], part.items[i], t, 1, 1.0)
        for part in (LOG, later)
        for u, i, t in zip(part.user, part.item, part.time, strict=True)
    )
    one, other = (
        evaluate(Behaviour.item_knn(split(each, 10 * DAY_MS).history), split(each, 10 * DAY_MS).task("novel"))
        for each in (LOG, more)
    )
    assert one.rows.tolist() == other.rows.tolist()


@pytest.mark.parametrize("day", [0, 100])
def test_a_cutoff_without_shoppers_is_an_error_with_a_way_out(day: int) -> None:
    with pytest.raises(CatalogError, match="cutoff"):
        split(LOG, day * DAY_MS)


def test_orders_that_cannot_be_read_are_counted_by_reason() -> None:
    good = {"type": "order", "user_id": "ann", "item_id": "a", "ts": 5}
    events = [
        good,
        {**good, "ts": "soon"},
        {**good, "user_id": ""},
        {**good, "quantity": -1},
        {"type": "view"},
    ]
    orders = take_orders(events)
    assert len(orders.log) == 1
    assert sum(orders.rejects.values()) == 3
    with pytest.raises(CatalogError, match="no valid event"):
        take_orders([{"type": "order"}])


@pytest.mark.real
def test_ease_beats_popularity_and_cosines_on_online_retail() -> None:
    if not REAL.is_file():
        pytest.skip("shared/data/online_retail is not beside this checkout")
    from stream.datasets import OnlineRetail

    cutoff = int(datetime(2011, 7, 1, tzinfo=UTC).timestamp()) * 1000
    cut = split(take_orders(OnlineRetail(REAL).orders()).log, cutoff)
    task = cut.task("novel")
    ease = Behaviour.ease(cut.history)
    found = {
        one.name: evaluate(one, task)
        for one in (ease, Behaviour.item_knn(cut.history), Popularity.learn(cut.history, cutoff))
    }
    assert compare(found["ease"], found["item-knn"], "NDCG@20").low > 0
    assert compare(found["item-knn"], found["popularity"], "NDCG@20").low > 0
    served = evaluate(ease.sparse(200), task).metrics.values["NDCG@20"].mean
    assert served > 0.98 * found["ease"].metrics.values["NDCG@20"].mean
    assert np.isfinite(task.unseen)
