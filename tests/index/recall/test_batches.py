"""A batch of requests is answered as its requests would be one by one, whatever was asked before."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from index import Query, Recall, RecallRequest, RecallSettings, build_catalog
from index.built.first_seen import FIRST_SEEN, today
from index.channels.behaviour import Neighbours
from index.demand_weights.weights import Evidence
from index.items.item import Item
from index.living import LivingRecall, Price, Remove, Upsert
from index.ranking.limits import Caps
from index.ranking.live import LIVE_FEATURES
from index.ranking.live_ranker import LiveRanker
from index.recall import Act

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems

WORDS = (
    "red",
    "blue",
    "small",
    "large",
    "oak",
    "steel",
    "round",
    "tall",
    "old",
    "soft",
    "lamp",
    "rug",
    "vase",
)
KINDS = ("light", "floor", "table", "wall", "none yet")


class Feature:
    """A booster that wants demands, likeness and new items."""

    def predict(self, features: np.ndarray, **_: object) -> np.ndarray:
        columns = [LIVE_FEATURES.index(name) for name in ("demands", "likeness", "dense", "lexical_place")]
        # Row by row, as a booster of trees does: a product of matrices may round by the size of the batch.
        known = np.nan_to_num(features[:, columns]).astype(np.float64)
        return known[:, 0] + 0.5 * known[:, 1] + 2.0 * known[:, 2] - 0.01 * known[:, 3]


@pytest.fixture
def store(tmp_path: Path, write_items: WriteItems, encoder: WordEncoder) -> Path:
    """Four hundred items, many of which share a text or a popularity."""
    chance = random.Random(5)
    items = [
        {
            "item_id": f"i{n}",
            "title": " ".join(chance.sample(WORDS, chance.randint(1, 3))),
            "category": chance.choice(KINDS),
            "brand": f"b{n % 7}",
            "price": chance.choice([None, 5, 20, 80]),
            "popularity": chance.randrange(6),
        }
        for n in range(400)
    ]
    out = tmp_path / "store"
    build_catalog(write_items(items, "store.jsonl"), out, encoder)
    days = np.array([chance.choice([0, today() - 5, today() - 200]) for _ in range(400)], dtype=np.int32)
    (out / FIRST_SEEN).unlink()
    np.save(out / FIRST_SEEN, days)
    return out


def requests(seed: int, many: int) -> list[RecallRequest]:
    chance = random.Random(seed)
    made = []
    for number in range(many):
        texts = [" ".join(chance.sample(WORDS, chance.randint(1, 2))) for _ in range(chance.randrange(5))]
        own = [f"i{n}" for n in chance.sample(range(410), chance.randrange(8))]
        queries = []
        for text in texts:
            ages = tuple(chance.uniform(0, 30) for _ in range(chance.randrange(3)))
            given = Evidence(text, "llm", chance.choice([None, chance.random()]), chance.random(), ages)
            queries.append(Query(text, 1.0, "", chance.choice([None, given])))
        made.append(
            RecallRequest(
                tuple(queries),
                frozenset(f"i{n}" for n in chance.sample(range(400), chance.choice([0, 3, 40]))),
                tuple(chance.sample(KINDS, chance.randrange(4))),
                limit=chance.choice([None, 7]),
                acts=tuple(Act(item, 1 / place) for place, item in enumerate(own, 1)),
                user=f"u{number % 9}",
                version=number,
            )
        )
    return made


def recalls(store: Path, encoder: WordEncoder, **settings: object) -> Recall:
    plain = Recall.open(store, encoder)
    chance = np.random.default_rng(2)
    partners = np.argsort(chance.random((400, 400)), axis=1)[:, :30].astype(np.int32)
    strengths = (chance.random((400, 30)) ** 3 - 0.05).round(2).astype(np.float32)
    together = (Neighbours("made", partners, strengths, None), tuple(f"i{n}" for n in range(400)))
    beside = replace(plain.beside, neighbours=together, ranker=LiveRanker(Feature(), {}))
    if settings.pop("without_ranker", False):
        beside = replace(beside, ranker=None)
    return Recall(
        plain.catalog,
        encoder,
        plain.vectors,
        beside=beside,
        settings=RecallSettings(per_query=60, limit=30, **settings),
    )


def written(recall: Recall, asked: list[RecallRequest]) -> list[bytes]:
    result = recall.recall(asked)
    return [
        msgspec.json.encode(one)
        for one in zip(result.candidates, result.best, result.demands, result.pools, strict=True)
    ]


@pytest.mark.parametrize(
    "settings",
    [{}, {"without_ranker": True, "remembered": 0}, {"caps": Caps(category=6, brand=4), "diversity": 0.0}],
    ids=["ranker", "coarse, nothing remembered", "caps, no diversity"],
)
def test_a_batch_is_answered_byte_for_byte_as_its_requests_one_by_one(
    store: Path, encoder: WordEncoder, settings: dict[str, object]
) -> None:
    asked = requests(1, 24)
    together = written(recalls(store, encoder, **settings), asked)
    alone = recalls(store, encoder, **settings)
    assert together == [written(alone, [one])[0] for one in asked]
    assert len({*together}) > len(asked) // 2


def test_what_was_asked_before_changes_no_answer(store: Path, encoder: WordEncoder) -> None:
    used = recalls(store, encoder)
    for seed in (2, 3, 4):
        used.recall(requests(seed, 25))
    asked = requests(5, 25)
    assert written(used, asked) == written(recalls(store, encoder), asked)
    assert written(used, asked) == written(used, asked[::-1])[::-1]


def test_after_a_change_of_the_catalogue_nothing_of_the_state_before_is_remembered(
    store: Path, encoder: WordEncoder
) -> None:
    changes = [
        Remove("i3"),
        Price("i7", 3.0),
        Upsert(Item(item_id="n1", title="red lamp", category="light", price=4.0)),
        Upsert(Item(item_id="i9", title="oak vase", category="table")),
    ]
    used, fresh = LivingRecall(recalls(store, encoder)), LivingRecall(recalls(store, encoder))
    asked = requests(6, 30)
    before = written(used.now, asked)
    used.apply(changes)
    fresh.apply(changes)
    assert written(used.now, asked) == written(fresh.now, asked) != before
    assert written(fresh.now, asked) == [written(used.now, [one])[0] for one in asked]


def test_a_demand_asked_again_is_neither_encoded_nor_searched_again(
    store: Path, encoder: WordEncoder
) -> None:
    recall = recalls(store, encoder)
    first = recall.recall([RecallRequest((Query("red lamp"),))])
    encoder.batches.clear()
    again = recall.recall([RecallRequest((Query("red lamp"),)), RecallRequest((Query("oak"),))])
    assert encoder.batches == [["oak"]]
    assert again.candidates[0] == first.candidates[0]
    assert again.best[0] == first.best[0]


def test_without_what_is_for_the_record_the_slates_are_the_same(store: Path, encoder: WordEncoder) -> None:
    recall, asked = recalls(store, encoder), requests(7, 20)
    told, bare = (recall.recall(asked, record=record).candidates for record in (True, False))
    ranked = [one for slate in told for one in slate if one.channel != "popular" or one.features]
    assert all(one.features and one.parts for one in ranked)
    assert any(one.ranks for one in ranked)
    only = [
        [msgspec.structs.replace(one, features=(), ranks={}, parts={}) for one in slate] for slate in told
    ]
    bare = [[msgspec.structs.replace(one, parts={}) if one.parts else one for one in slate] for slate in bare]
    assert only == bare
    assert not any(one.features or one.ranks for slate in bare for one in slate)
