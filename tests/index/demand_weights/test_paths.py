"""Paths through the graph: against a dense computation, and what they tell apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.channels.purchases import DAY_MS, Purchases
from index.demand_weights import (
    Links,
    Paths,
    PathSettings,
    Recalled,
    bought_by,
    factors,
    open_paths,
    save_paths,
    searched_as,
)
from index.demand_weights.paths import MOST_HISTORY
from index.errors import CatalogDamagedError, CatalogError, CatalogMissingError

if TYPE_CHECKING:
    from pathlib import Path

TITLES = ["red cake stand", "red cake tin", "garden spade", "garden hose", "tea light"]
CATEGORIES = ["kitchen", "kitchen", "garden", "garden", None]
SHOP = Paths.build(CATEGORIES, [factors(title) for title in TITLES])


def recalled(*rows: int, scores: list[float] | None = None) -> Recalled:
    return Recalled(np.array(rows, dtype=np.int64), np.array(scores or [1.0] * len(rows)))


def dense(links: Links) -> np.ndarray:
    whole = np.zeros((len(links), links.count))
    for item in range(len(links)):
        part = slice(links.starts[item], links.starts[item + 1])
        whole[item, links.nodes[part]] = links.chances[part]
    return whole


graphs = st.integers(1, 8).flatmap(
    lambda items: st.tuples(
        st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=items, max_size=items),
        st.dictionaries(st.integers(0, items - 1), st.floats(0.01, 10), max_size=items),
        st.lists(
            st.lists(st.tuples(st.integers(0, items - 1), st.just(0.0) | st.floats(0.01, 5)), max_size=6),
            min_size=1,
            max_size=3,
        ),
    )
)


@given(graphs)
def test_relevance_is_how_often_two_walks_meet_and_its_parts_add_up(graph: tuple) -> None:  # type: ignore[type-arg]  # as drawn
    nodes, history, asked = graph
    kinds = {"factor": Links.named(nodes), "item": Links.identity(len(nodes))}
    paths = Paths.of(kinds)
    queries = [
        Recalled(np.array([row for row, _ in one], dtype=np.int64), np.array([score for _, score in one]))
        for one in asked
    ]
    for query, found in zip(queries, paths.relevance(history, queries), strict=True):
        for name, kind in kinds.items():
            steps = dense(kind)
            mine = sum((weight * steps[row] for row, weight in history.items()), np.zeros(steps.shape[1]))
            mine /= max(sum(history.values()), 1e-12)
            theirs = query.scores @ steps[query.rows] / max(query.scores.sum(), 1e-12)
            met = mine @ theirs
            expected = met / (met + mine @ mine) if met > 0 else 0.0
            assert found.by_path[name] == pytest.approx(paths.shares[name] * expected, abs=1e-4)
        assert found.value == pytest.approx(sum(found.by_path.values()))
        assert 0 <= found.value <= 1


def test_a_query_for_more_of_the_kind_is_more_relevant_than_one_for_something_else() -> None:
    same, other, nothing = SHOP.relevance({0: 1.0}, [recalled(1), recalled(2, 3), recalled(4)])
    assert same.value > other.value == nothing.value == 0
    assert same.by_path["category"] > 0
    assert same.by_path["factor"] > 0
    assert same.by_path["item"] == 0


def test_a_query_for_exactly_the_history_is_as_near_as_the_history_is_to_itself() -> None:
    (found,) = SHOP.relevance({0: 2.0, 2: 1.0}, [recalled(0, 2, scores=[2.0, 1.0])])
    assert found.value == pytest.approx(0.5, abs=1e-5)


def test_how_large_weights_and_scores_are_does_not_matter() -> None:
    small = SHOP.relevance({0: 2.0, 2: 1.0}, [recalled(1, 3, scores=[2.0, 1.0])])
    large = SHOP.relevance({0: 200.0, 2: 100.0}, [recalled(1, 3, scores=[20.0, 10.0])])
    assert small[0].value == pytest.approx(large[0].value)


def test_one_call_leaves_nothing_behind_for_the_next() -> None:
    first = SHOP.relevance({0: 1.0}, [recalled(1)])
    SHOP.relevance({2: 1.0, 3: 1.0}, [recalled(1), recalled(2)])
    assert SHOP.relevance({0: 1.0}, [recalled(1)]) == first


def test_rare_words_connect_more_than_common_ones() -> None:
    titles = [["cake", "silver"], ["cake", "gold"], ["plate", "silver"], *(["cake"] for _ in range(6))]
    paths = Paths.of({"factor": Links.named(titles)})
    by_common, by_rare = paths.relevance({0: 1.0}, [recalled(1), recalled(2)])
    assert by_rare.value > by_common.value


def test_newer_history_weighs_more() -> None:
    kitchen, garden = SHOP.relevance({0: 1.0, 2: 0.1}, [recalled(1), recalled(3)])
    assert kitchen.value > garden.value


def test_only_the_edges_of_the_items_named_are_read() -> None:
    links = Links.merged([Links.identity(4), Links.named([["a"], ["a"], ["a"], ["b"]])])
    links.chances[links.starts[2] :] = np.nan
    (found,) = Paths.over(links, {"item": 4, "factor": 2}).relevance({0: 1.0}, [recalled(1)])
    assert found.value == pytest.approx(0.5 * 0.8)


def test_without_history_or_recalled_items_nothing_connects() -> None:
    assert [one.value for one in SHOP.relevance({}, [recalled(0), recalled()])] == [0, 0]
    assert SHOP.relevance({0: 1.0}, [recalled()])[0].value == 0
    assert SHOP.relevance({0: 0.0}, [recalled(0)])[0].value == 0
    assert SHOP.relevance({0: 1.0}, [recalled(0, scores=[0.0])])[0].value == 0
    assert SHOP.relevance({0: 1.0}, []) == []


def test_a_long_history_is_walked_from_its_heaviest_items() -> None:
    items = MOST_HISTORY + 10
    paths = Paths.of({"item": Links.identity(items)})
    history = {row: 1.0 + row for row in range(items)}
    least, most = paths.relevance(history, [recalled(0), recalled(items - 1)])
    assert least.value == 0 < most.value


def test_shares_of_the_paths_that_are_there_sum_to_one() -> None:
    settings = PathSettings(item=0, category=1, factor=3, buyer=4)
    shares = Paths.build(CATEGORIES, [factors(title) for title in TITLES], settings=settings).shares
    assert shares == {"item": 0, "category": 0.25, "factor": 0.75}


def test_buyers_connect_what_was_bought_by_the_same_shoppers() -> None:
    lines = [
        ("ann", "a", 1),
        ("ann", "b", 2),
        ("bob", "a", 3),
        ("bob", "b", 4),
        ("cem", "c", 5),
        ("cem", "x", 6),
    ]
    log = Purchases.of((user, item, day * DAY_MS, 1.0, 1.0) for user, item, day in lines)
    paths = Paths.of({"buyer": bought_by(log, ["a", "b", "c", "never"])})
    together, apart, unsold = paths.relevance({0: 1.0}, [recalled(1), recalled(2), recalled(3)])
    assert together.value > 0.4
    assert apart.value == unsold.value == 0


def test_only_the_latest_buyers_of_an_item_are_kept() -> None:
    log = Purchases.of((f"u{day}", "a", day * DAY_MS, 1.0, 1.0) for day in [3, 1, 2, 0, 4])
    links = bought_by(log, ["a"], most=2)
    assert sorted(log.users[node] for node in links.nodes) == ["u3", "u4"]


def test_an_event_belongs_to_the_shoppers_latest_search_within_the_time() -> None:
    events = [
        {"type": "search", "user_id": "ann", "ts": 0, "query": "cake stands"},
        {"type": "search", "user_id": "bob", "ts": 1_000, "query": "spade"},
        {"type": "click", "user_id": "ann", "ts": 2_000, "item_id": "a"},
        {"type": "click", "user_id": "bob", "ts": 601_001, "item_id": "a"},
        {"type": "view", "user_id": "ann", "ts": 3_000, "item_id": "b"},
        {"type": "click", "user_id": "cem", "ts": 3_000, "item_id": "b"},
        {"type": "order", "user_id": "ann", "ts": 4_000, "item_id": "b"},
        {"type": "order", "user_id": "ann", "ts": 4_000, "item_id": "unknown"},
    ]
    links = searched_as(events, ["a", "b", "c"], within_s=600)
    assert links.starts.tolist() == [0, 2, 4, 4]
    assert links.nodes.tolist() == [0, 1, 0, 1]
    assert links.count == 2


def test_a_step_from_an_item_has_chances_that_sum_to_one_and_repeats_count() -> None:
    links = Links.named([["a", "a", "b"], [], ["b"], ["c"]])
    assert np.add.reduceat(links.chances, [0, 2, 3]).tolist() == pytest.approx([1, 1, 1])
    twice, once = links.chances[:2]
    assert twice / once == pytest.approx(2 * math.log(5) / math.log(5 / 2))


def test_words_without_a_letter_are_no_factors_and_a_brand_is_one() -> None:
    assert factors("Set of 3 Cake Tins 22cm", "Acme") == ("set", "cake", "tin", "22cm", "brand acme")


def test_rows_beyond_the_graph_and_negative_scores_are_refused() -> None:
    with pytest.raises(CatalogError, match="Query 2"):
        SHOP.relevance({0: 1.0}, [recalled(0), recalled(5)])
    with pytest.raises(CatalogError, match="history"):
        SHOP.relevance({-1: 1.0}, [recalled(0)])
    with pytest.raises(CatalogError, match="Query 1"):
        SHOP.relevance({0: 1.0}, [recalled(0, scores=[-1.0])])
    with pytest.raises(CatalogError, match="history"):
        SHOP.relevance({0: math.nan}, [recalled(0)])


def test_graphs_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(CatalogError, match="different numbers"):
        Paths.of({"item": Links.identity(2), "factor": Links.identity(3)})
    with pytest.raises(CatalogError, match="'colour'"):
        Paths.of({"colour": Links.identity(2)})
    with pytest.raises(CatalogError, match="weight"):
        Paths.of({"item": Links.identity(2)}, PathSettings(item=0))
    edges = np.array([0]), np.array([7])
    with pytest.raises(CatalogError, match="beyond"):
        Links.of(1, 2, edges)


def test_a_saved_graph_answers_the_same_from_its_memory_map(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    save_paths(SHOP, folder, "build-1")
    save_paths(SHOP, folder, "build-2")
    opened = open_paths(folder, "build-2")
    assert isinstance(opened.links.nodes, np.memmap)
    asked = [recalled(1, 4), recalled(3)]
    assert opened.relevance({0: 1.0, 2: 0.5}, asked) == SHOP.relevance({0: 1.0, 2: 0.5}, asked)
    assert [one.name for one in tmp_path.iterdir()] == ["graph"]


def test_a_missing_foreign_or_cut_graph_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    with pytest.raises(CatalogMissingError, match="graph"):
        open_paths(folder, "build")
    save_paths(SHOP, folder, "build")
    with pytest.raises(CatalogDamagedError, match="another build"):
        open_paths(folder, "other")
    nodes = folder / "nodes.npy"
    nodes.write_bytes(nodes.read_bytes()[:-4])
    with pytest.raises(CatalogDamagedError, match="graph"):
        open_paths(folder, "build")
    nodes.unlink()
    with pytest.raises(CatalogDamagedError, match=r"nodes\.npy"):
        open_paths(folder, "build")
