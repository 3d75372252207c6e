from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import Query, Recall, RecallRequest, RecallSettings, build_catalog
from index.demand_weights.weights import Evidence
from index.ranking.limits import Caps
from index.ranking.live import LIVE_FEATURES
from index.recall import Act

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems

KINDS = ("lamp", "rug", "vase", "clock", "stool")


@pytest.fixture
def store(tmp_path: Path, write_items: WriteItems, encoder: WordEncoder) -> Path:
    """Two hundred items of five categories, ten brands and four sellers."""
    items = [
        {
            "item_id": f"i{n}",
            "title": f"{KINDS[n % 5]} model {n}",
            "category": KINDS[n % 5],
            "brand": f"b{n % 10}",
            "price": 10 + n,
            "popularity": n,
            "attributes": {"seller": f"s{n % 4}"},
        }
        for n in range(200)
    ]
    out = tmp_path / "store"
    build_catalog(write_items(items, "store.jsonl"), out, encoder)
    return out


QUERIES = (Query("lamp model"), Query("rug model"), Query("vase"))


def test_caps_hold_in_every_slate(store: Path, encoder: WordEncoder) -> None:
    recall = Recall.open(
        store, encoder, settings=RecallSettings(caps=Caps(category=4, brand=2, seller=3), limit=30)
    )
    found = recall.recall([RecallRequest(QUERIES)]).candidates[0]
    rows = [row for one in found if (row := recall.catalog.row(one.item)) is not None]
    for cap, values in (
        (4, [recall.catalog.category(row) for row in rows]),
        (2, [recall.catalog.brand(row) for row in rows]),
        (3, [recall.catalog.attribute(row, "seller") for row in rows]),
    ):
        assert max(Counter(values).values()) <= cap
    assert len(found) == 12  # four sellers, three each


def test_the_share_for_discovery_is_met_within_a_point_over_a_thousand_slates(
    store: Path, encoder: WordEncoder
) -> None:
    share = 0.1
    settings = RecallSettings(discovery_share=share, limit=17, per_query=60)
    recall = Recall.open(store, encoder, settings=settings)
    places = kept = 0
    for start in range(0, 1_000, 50):
        requests = [
            RecallRequest((Query("lamp"),), categories=("lamp",), user=f"u{n % 40}", version=n // 40)
            for n in range(start, start + 50)
        ]
        for found in recall.recall(requests).candidates:
            places += len(found)
            kept += sum(int(one.item[1:]) % 5 != 0 for one in found)
    assert places == 17_000
    assert kept / places == pytest.approx(share, abs=0.01)


def test_demands_take_turns_and_a_heavier_one_comes_first(store: Path, encoder: WordEncoder) -> None:
    recall = Recall.open(store, encoder, settings=RecallSettings(discovery_share=0.0))
    found = recall.recall([RecallRequest((Query("lamp"), Query("rug")))]).candidates[0]
    assert {one.query for one in found[:4]} == {"lamp", "rug"}
    heavy = recall.recall([RecallRequest((Query("lamp"), Query("rug", 3.0)))]).candidates[0]
    assert [one.query for one in heavy[:4]] == ["rug"] * 4


def test_a_demand_with_better_evidence_weighs_more_and_its_parts_are_told(
    store: Path, encoder: WordEncoder
) -> None:
    recall = Recall.open(store, encoder)
    queries = (
        Query("lamp", evidence=Evidence("lamp", "llm", confidence=0.9, ages_days=(0.0, 0.1))),
        Query("rug", evidence=Evidence("rug", "llm", confidence=0.2, ages_days=(30.0,))),
    )
    (told,) = recall.recall([RecallRequest(queries, categories=("lamp",), acts=(Act("i0", 1.0),))]).demands
    assert told["lamp"]["weight"] > told["rug"]["weight"]
    assert told["lamp"]["weight"] + told["rug"]["weight"] == pytest.approx(2.0, abs=1e-5)
    assert {"confidence", "preference", "path", "evidence", "recency"} <= set(told["lamp"])
    given = {"given", "weight"}
    logs = {text: sum(part for name, part in one.items() if name not in given) for text, one in told.items()}
    ratio = told["lamp"]["weight"] / told["rug"]["weight"]
    assert np.exp(logs["lamp"] - logs["rug"]) == pytest.approx(ratio, rel=1e-4)


def test_every_position_has_features_that_survive_a_record(store: Path, encoder: WordEncoder) -> None:
    recall = Recall.open(store, encoder)
    request = RecallRequest(QUERIES, categories=("lamp",), acts=(Act("i5", 1.0), Act("i10", 0.5)))
    found = recall.recall([request]).candidates[0]
    for one in found:
        values = dict(zip(LIVE_FEATURES, json.loads(json.dumps(one.features)), strict=True))
        row = recall.catalog.row(one.item)
        assert row is not None
        price = recall.catalog.price(row)
        assert price is not None
        assert values["price_gap"] == pytest.approx(np.log(price / 17.5), abs=1e-4)
        assert values["category"] == float(recall.catalog.category(row) == "lamp")
        assert values["demands"] == len(one.ranks)
        assert values["taken"] == {"i5": 1.0, "i10": 0.5}.get(one.item, 0.0)
        assert values["acts"] == 2
        assert values["queries"] == 3
        assert -1 <= values["likeness"] <= 1.001


def test_a_trained_ranker_orders_the_slate_and_its_part_is_told(store: Path, encoder: WordEncoder) -> None:
    from dataclasses import replace

    from index.ranking.live_ranker import LiveRanker

    class Cheapest:
        """A booster that wants a low price."""

        def predict(self, features: np.ndarray, **_: object) -> np.ndarray:
            return -features[:, LIVE_FEATURES.index("price_gap")]

    plain = Recall.open(store, encoder)
    settings = RecallSettings(discovery_share=0.0, diversity=0.0)
    beside = replace(plain.beside, ranker=LiveRanker(Cheapest(), {}))
    recall = Recall(plain.catalog, encoder, plain.vectors, beside=beside, settings=settings)
    found = recall.recall([RecallRequest((Query("lamp"),), acts=(Act("i5", 1.0),))]).candidates[0]
    numbers = [int(one.item[1:]) for one in found]
    assert numbers == sorted(numbers)
    assert all("model" in one.parts for one in found)
    assert all(one.score == round(sum(one.parts.values()), 6) for one in found)
