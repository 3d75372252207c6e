from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index import Catalog, Query, Recall, RecallRequest, RecallSettings, VectorIndex
from index.built.first_seen import FIRST_SEEN, today
from index.built.manifest import Manifest
from index.channels.behaviour import Neighbours
from index.errors import CatalogError
from index.items.item import Item
from index.living import LivingRecall, Remove, Stock, Upsert
from index.recall import Act
from index.recall.beside import Beside, open_beside
from index.recall.lists import scaled
from index.recall.settings import ChannelWeights

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder

IDS = ("m3", "b2", "s1", "gone", "m1")
# Whoever takes milk buys bread, and soap a little less; "gone" is no longer in the shop.
PARTNERS = np.array([[1, 2, 3], [0, 2, 3], [3, 3, 3], [0, 1, 2], [0, 1, 2]], dtype=np.int32)
STRENGTHS = np.array(
    [[0.9, 0.3, 0.95], [0.2, 0.1, 0.0], [0, 0, 0], [0, 0, 0], [0, 0, -0.5]], dtype=np.float32
)
TOGETHER = (Neighbours("ease", PARTNERS, STRENGTHS, None), IDS)


def opened(shop: Path, encoder: WordEncoder, settings: RecallSettings | None = None) -> Recall:
    plain = Recall.open(shop, encoder, settings=settings, verify=True)
    beside = replace(plain.beside, neighbours=TOGETHER)
    return Recall(plain.catalog, encoder, plain.vectors, beside=beside, settings=settings)


def only(**weights: float) -> RecallSettings:
    none = dict.fromkeys(ChannelWeights.model_fields, 0.0)
    return RecallSettings(weights=ChannelWeights(**{**none, **weights}), discovery_share=0.0)


def slate(recall: Recall, request: RecallRequest) -> list[tuple[str, str]]:
    return [(one.item, one.channel) for one in recall.recall([request]).candidates[0]]


def test_all_channels_are_there_when_their_files_are(shop: Path, encoder: WordEncoder) -> None:
    assert opened(shop, encoder).channels == ("dense", "lexical", "behaviour", "popular", "new")
    assert Recall.open(shop, encoder).channels == ("dense", "lexical", "popular", "new")
    bare = Recall(Catalog.open(shop), encoder, VectorIndex.open(shop, encoder))
    assert bare.channels == ("dense", "popular", "new")


def test_words_find_what_meaning_does_not(shop: Path, encoder: WordEncoder) -> None:
    recall = opened(shop, encoder, only(lexical=1.0))
    found = recall.recall([RecallRequest((Query("barista lemon"),))]).candidates[0]
    assert {one.item for one in found} == {"m1", "s1"}
    assert {one.channel for one in found} == {"lexical"}
    assert [one.query for one in found] == ["barista lemon"] * 2


def test_what_goes_together_comes_by_strength_with_the_item_it_goes_with(
    shop: Path, encoder: WordEncoder
) -> None:
    recall = opened(shop, encoder, only(behaviour=1.0))
    request = RecallRequest(acts=(Act("m3", 1.0), Act("b2", 0.5), Act("unknown", 9.0)))
    found = recall.recall([request]).candidates[0]
    assert [one.item for one in found] == ["b2", "s1", "m3"]
    assert [one.score for one in found] == pytest.approx([1.0, 0.35 / 0.9, 0.1 / 0.9], abs=1e-5)
    assert found[0].why == "goes with “whole milk 1 l”"
    assert {one.channel for one in found} == {"behaviour"}
    assert {one.query for one in found} == {None}


def test_behaviour_that_speaks_against_everything_brings_nothing(shop: Path, encoder: WordEncoder) -> None:
    recall = opened(shop, encoder, only(behaviour=1.0))
    found = recall.recall([RecallRequest(acts=(Act("m1", 1.0),), categories=("bread",), limit=2)])
    assert [one.channel for one in found.candidates[0]] == ["popular", "popular"]


def test_popular_items_of_the_first_category_come_before_those_of_the_second(
    shop: Path, encoder: WordEncoder
) -> None:
    recall = opened(shop, encoder, only(popular=1.0, dense=1e-9))
    request = RecallRequest((Query("bread"),), categories=("bread", "milk"), limit=3)
    found = recall.recall([request]).candidates[0]
    assert [one.item for one in found] == ["b2", "b1", "m3"]
    assert found[0].why == "popular in bread"


def test_an_item_is_new_from_the_moment_it_is_upserted(shop: Path, encoder: WordEncoder) -> None:
    living = LivingRecall(opened(shop, encoder, only(new=1.0, dense=1e-9)))
    living.apply([Upsert(Item(item_id="n1", title="flat white", category="coffee"))])
    living.apply([Upsert(Item(item_id="m1", title="oat drink renamed", category="milk"))])
    found = slate(living.now, RecallRequest((Query("bread"),), limit=2))
    assert found[0] == ("n1", "new")
    assert ("m1", "new") not in found


def test_the_days_of_the_build_make_items_new_and_old(shop: Path, encoder: WordEncoder) -> None:
    days = np.zeros(14, dtype=np.int32)
    days[5], days[4] = today() - 3, today() - 90
    (shop / FIRST_SEEN).unlink()
    np.save(shop / FIRST_SEEN, days)
    recall = Recall.open(shop, encoder, settings=only(new=1.0, dense=1e-9))
    found = recall.recall([RecallRequest((Query("bread"),))]).candidates[0]
    assert [one.item for one in found if one.channel == "new"] == ["s1"]
    assert found[0].why == "new in the shop"


def test_what_is_removed_or_sold_out_or_blocked_or_bought_is_in_no_slate_of_any_channel(
    shop: Path, encoder: WordEncoder, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked.txt"
    blocked.write_text("s1\n\n t7 \nunknown\n", encoding="utf-8")
    settings = RecallSettings(blocked=blocked)
    plain = Recall.open(shop, encoder, settings=settings)
    beside = replace(plain.beside, neighbours=TOGETHER)
    living = LivingRecall(Recall(plain.catalog, encoder, plain.vectors, beside=beside, settings=settings))
    living.apply([Remove("b2"), Stock("t6", in_stock=False)])
    request = RecallRequest(
        (Query("bread soap towels milk"),),
        frozenset({"m2"}),
        ("bread", "milk", "paper"),
        acts=(Act("m3", 1.0),),
    )
    for asked in (request, replace(request, queries=()), replace(request, queries=(), acts=())):
        found = {one.item for one in living.now.recall([asked]).candidates[0]}
        assert found
        assert not found & {"b2", "t6", "s1", "t7", "m2"}
    assert {"m3", "b1", "t5"} <= {one for one, _ in slate(living.now, request)}


def test_a_file_of_blocked_items_or_a_ranking_that_is_not_there_is_an_error(
    shop: Path, encoder: WordEncoder, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match="blocked items"):
        Recall.open(shop, encoder, settings=RecallSettings(blocked=tmp_path / "none"))
    with pytest.raises(CatalogError, match=r"index\.ranking"):
        Recall.open(shop, encoder, ranking=tmp_path / "none")


def test_a_folder_of_rankings_is_read_as_far_as_it_goes(
    shop: Path, encoder: WordEncoder, tmp_path: Path
) -> None:
    assert "behaviour" not in Recall.open(shop, encoder, ranking=tmp_path).channels
    TOGETHER[0].save(tmp_path / "neighbours.npz", IDS)
    assert "behaviour" in Recall.open(shop, encoder, ranking=tmp_path).channels


def test_a_catalogue_of_an_earlier_layout_serves_without_what_it_lacks(
    shop: Path, encoder: WordEncoder
) -> None:
    manifest = Manifest.load(shop)
    kept = {"items.arrow", "vectors.faiss", "rejects.jsonl"}
    for name in set(manifest.files) - kept:
        (shop / name).unlink()
    old = manifest.model_copy(update={"files": {name: manifest.files[name] for name in kept}})
    (shop / "manifest.json").write_text(old.model_dump_json(), encoding="utf-8")
    assert open_beside(shop, old) == Beside()
    assert slate(Recall.open(shop, encoder), RecallRequest((Query("bread"),)))[0][1] == "dense"


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.booleans())
def test_values_are_from_a_thousandth_to_one_and_keep_the_order(scores: list[float], full: bool) -> None:
    falling = np.array(sorted(scores, reverse=True), dtype=np.float32)
    known = np.ones((1, len(falling) + (not full)), dtype=bool)
    known[0, len(falling) :] = False  # the list has ended before
    (values,) = scaled(np.resize(falling, known.shape), known, np.array([known.shape[1]]))[:, : len(falling)]
    assert ((values >= 1e-3) & (values <= 1.0)).all()
    assert (np.diff(values) <= 0).all()
