from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from index import (
    Catalog,
    CatalogDamagedError,
    CatalogError,
    Query,
    Recall,
    RecallRequest,
    VectorIndex,
    build_catalog,
)
from index.recall import Act

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoders.encoder import Vectors
    from tests.index.conftest import WordEncoder, WriteItems


def ids(recall: Recall, request: RecallRequest) -> list[str]:
    return [candidate.item for candidate in recall.recall([request]).candidates[0]]


def test_the_nearest_items_come_first(recall: Recall) -> None:
    assert ids(recall, RecallRequest((Query("oat drink"),)))[:2] in (["m1", "m2"], ["m2", "m1"])
    assert set(ids(recall, RecallRequest((Query("bread"),)))[:2]) == {"b1", "b2"}


def test_a_batch_costs_one_encoder_call_and_one_search(
    recall: Recall, encoder: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []
    search = VectorIndex.search

    def counted(self: VectorIndex, queries: Vectors, k: int) -> Any:
        searches.append(len(queries))
        return search(self, queries, k)

    monkeypatch.setattr(VectorIndex, "search", counted)
    result = recall.recall(
        [
            RecallRequest((Query("oat drink"), Query("bread"))),
            RecallRequest((Query("bread"), Query("soap"))),
            RecallRequest(),
        ]
    )
    assert encoder.batches == [["oat drink", "bread", "soap"]]
    assert searches == [3]
    assert len(result.candidates) == 3
    assert min(result.encode_ms, result.search_ms, result.fuse_ms) > 0


def test_a_batch_answers_each_request_as_if_it_were_alone(recall: Recall) -> None:
    requests = [
        RecallRequest((Query("oat drink"), Query("bread", 2.0)), frozenset({"m1"}), limit=5),
        RecallRequest((Query("soap"),), limit=3),
        RecallRequest((), categories=("bread",), limit=4),
    ]
    together = recall.recall(requests)
    assert together.candidates == [recall.recall([one]).candidates[0] for one in requests]


def test_a_score_is_the_sum_of_its_parts_and_scores_fall(recall: Recall) -> None:
    queries = (Query("oat drink", 1.5), Query("milk 1 l", 0.5), Query("bread", 1.0))
    request = RecallRequest(queries, categories=("milk", "bread"), acts=(Act("m3", 1.0),))
    found = recall.recall([request]).candidates[0]
    assert found
    for candidate in found:
        assert candidate.score == round(sum(candidate.parts.values()), 6)
        assert all(candidate.parts.values())
        assert candidate.query in candidate.ranks
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_excluded_items_are_left_out_and_do_not_shorten_the_list(recall: Recall) -> None:
    request = RecallRequest((Query("oat drink"),), limit=5, per_query=5)
    first = ids(recall, request)
    again = ids(
        recall, RecallRequest((Query("oat drink"),), frozenset([*first, "unknown"]), limit=5, per_query=5)
    )
    assert len(first) == len(again) == 5
    assert not set(first) & set(again)


def test_excluding_everything_leaves_nothing(recall: Recall) -> None:
    everything = frozenset(recall.catalog.item_id(row) for row in range(len(recall.catalog)))
    assert ids(recall, RecallRequest((Query("bread"),), everything)) == []
    assert ids(recall, RecallRequest((), everything)) == []


def test_one_query_still_fills_the_limit_when_its_depth_is_less(recall: Recall) -> None:
    assert len(ids(recall, RecallRequest((Query("bread"),), limit=12, per_query=1))) == 12


def test_items_of_one_title_come_a_few_at_a_time_the_most_popular_first(recall: Recall) -> None:
    found = ids(recall, RecallRequest((Query("paper towels"),), limit=14))
    assert found[:3] == ["t7", "t6", "t5"]
    assert [item for item in found if item.startswith("t")] == [f"t{n}" for n in range(7, -1, -1)]


def test_the_best_similarity_tells_whether_the_catalogue_answers_a_query(recall: Recall) -> None:
    best = recall.recall([RecallRequest((Query("sourdough bread"), Query("carburettor")))]).best[0]
    assert best["sourdough bread"] > 0.7
    assert best["carburettor"] < 0.5


def test_blank_queries_are_passed_over_and_equal_ones_count_once(
    recall: Recall, encoder: WordEncoder
) -> None:
    result = recall.recall(
        [RecallRequest((Query("bread"), Query("  "), Query(" bread ", 2.0, "asked twice")))]
    )
    assert encoder.batches == [["bread"]]
    top = result.candidates[0][0]
    assert top.ranks == {"bread": 1}
    assert result.demands[0] == {"bread": {"given": 3.0, "weight": 3.0}}


def test_evidence_of_a_query_reaches_its_candidates(recall: Recall) -> None:
    found = recall.recall(
        [RecallRequest((Query("bread", why="two loaves a week"), Query("soap")))]
    ).candidates[0]
    assert {one.why for one in found if one.query == "bread"} == {"two loaves a week"}
    assert all(one.why for one in found)


def test_without_queries_popular_items_of_the_users_categories_take_turns(recall: Recall) -> None:
    found = recall.popular(("bread", "milk", "no such"), 7, frozenset({"m3"}))
    assert [one.item for one in found] == ["b2", "m2", "b1", "m1", "t7", "t6", "t5"]
    assert [one.why for one in found][:2] == ["popular in bread", "popular in milk"]
    assert found[-1].why == "popular overall"
    assert {one.channel for one in found} == {"popular"}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    request = RecallRequest((Query(" "),), frozenset({"m3"}), ("bread", "milk"), limit=7)
    assert ids(recall, request) == [one.item for one in found]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_positive_number_is_refused(weight: float) -> None:
    with pytest.raises(CatalogError, match="weight"):
        Query("bread", weight)


def test_hostile_queries_are_only_text(recall: Recall) -> None:
    for text in ('{"a": [', "x" * 100_000, "\x00\n\t bread", "}}{{ %s </s>", "🛋️"):
        assert len(ids(recall, RecallRequest((Query(text),), limit=5))) == 5


def test_table_and_index_of_different_builds_are_refused(
    shop: Path, encoder: WordEncoder, write_items: WriteItems
) -> None:
    old = Catalog.open(shop)
    build_catalog(write_items([{"item_id": "1", "title": "lamp"}]), shop, encoder)
    with pytest.raises(CatalogDamagedError, match="different builds"):
        Recall(old, encoder, VectorIndex.open(shop, encoder))


def test_a_folder_is_opened_in_one_step(shop: Path, encoder: WordEncoder) -> None:
    assert len(Recall.open(shop, encoder, verify=True).catalog) == 14
