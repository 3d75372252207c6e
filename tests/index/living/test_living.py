"""Changes to a catalogue while it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import Catalog, Item, Query, Recall, RecallRequest, VectorIndex, build_catalog
from index.living import LivingRecall, Price, Remove, Stock, Upsert
from index.living.near import NearVectors
from tests.index.conftest import SHOP, WordEncoder, WriteItems

if TYPE_CHECKING:
    from pathlib import Path

    from index.living import Change


@pytest.fixture
def living(recall: Recall) -> LivingRecall:
    return LivingRecall(recall)


def found(recall: Recall, text: str, limit: int = 50) -> list[str]:
    (candidates,) = recall.recall([RecallRequest((Query(text),), limit=limit)]).candidates
    return [candidate.item for candidate in candidates]


def item(item_id: str, title: str, **more: object) -> Item:
    return Item.model_validate({"item_id": item_id, "title": title, **more})


def test_a_new_item_is_found_at_once_and_read_like_any_other(living: LivingRecall) -> None:
    living.apply([Upsert(item("n1", "espresso machine steel", category="coffee", price=199, popularity=3))])
    assert found(living.now, "espresso machine", 1) == ["n1"]
    catalog = living.now.catalog
    row = catalog.row("n1")
    assert row == 14
    assert (catalog.title(row), catalog.category(row), catalog.price(row)) == (
        "espresso machine steel",
        "coffee",
        199,
    )
    assert "coffee" in catalog.categories
    assert catalog.popular("coffee", 5).tolist() == [14]
    assert len(catalog) == 15


def test_a_removed_item_is_in_no_list_and_its_title_stays_known(living: LivingRecall) -> None:
    living.apply([Remove("m3")])
    now = living.now
    assert "m3" not in found(now, "whole milk 1 l")
    assert "m3" not in [candidate.item for candidate in now.popular(("milk",), 50)]
    assert "m3" not in now.catalog
    row = now.catalog.row("m3")
    assert row is not None
    assert now.catalog.title(row) == "whole milk 1 l"


def test_a_sold_out_item_returns_with_its_stock_and_a_removed_one_with_an_upsert(
    living: LivingRecall,
) -> None:
    living.apply([Stock("m3", in_stock=False), Remove("b2")])
    assert not {"m3", "b2"} & set(found(living.now, "milk bread"))
    living.apply([Stock("m3", in_stock=True), Upsert(item("b2", "sourdough bread", category="bread"))])
    assert {"m3", "b2"} <= set(found(living.now, "milk bread"))


def test_an_upsert_does_not_bring_a_sold_out_item_back(living: LivingRecall) -> None:
    living.apply([Stock("m3", in_stock=False)])
    living.apply([Upsert(item("m3", "fresh whole milk", category="milk"))])
    assert "m3" not in found(living.now, "fresh whole milk")
    living.apply([Stock("m3", in_stock=True)])
    assert found(living.now, "fresh whole milk", 1) == ["m3"]


def test_a_changed_title_is_found_by_its_new_words_once(living: LivingRecall) -> None:
    living.apply([Upsert(item("s1", "bath soap rose", category="bath"))])
    everything = found(living.now, "rose bath soap")
    assert everything[0] == "s1"
    assert everything.count("s1") == 1
    assert len(everything) == 14


def test_a_price_changes_without_the_encoder(living: LivingRecall, encoder: WordEncoder) -> None:
    encoder.batches.clear()
    living.apply([Price("m1", 9.5), Price("b1", None)])
    living.apply([Upsert(item("m2", "oat drink vanilla 1 l", category="milk", price=3))])
    catalog = living.now.catalog
    rows = {name: catalog.row(name) for name in ("m1", "b1", "m2")}
    assert [catalog.price(row) for row in rows.values() if row is not None] == [9.5, None, 3.0]
    assert rows["m2"] == 1
    assert encoder.batches == []


def test_changes_to_items_that_nobody_knows_are_named_and_change_nothing(living: LivingRecall) -> None:
    before = found(living.now, "milk")
    assert living.apply([Price("x", 1.0), Stock("y", in_stock=False), Remove("z")]) == [0, 1, 2]
    assert found(living.now, "milk") == before


def test_a_recall_that_is_in_use_does_not_change(living: LivingRecall) -> None:
    before = living.now
    living.apply([Remove("m3"), Upsert(item("n1", "whole milk 2 l", category="milk"))])
    assert "m3" in found(before, "whole milk")
    assert "n1" not in found(before, "whole milk")


def test_lists_stay_full_when_most_of_what_is_near_is_gone(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    rows = [
        {"item_id": f"i{n}", "title": f"lamp {'red' if n < 900 else 'blue'} number{n}"} for n in range(1000)
    ]
    build_catalog(write_items(rows), tmp_path / "out", encoder)
    living = LivingRecall(Recall.open(tmp_path / "out", encoder))
    living.apply([Remove(f"i{n}") for n in range(890)])
    names = found(living.now, "lamp red")
    assert len(names) == 50
    assert {f"i{n}" for n in range(890, 900)} <= set(names[:10])


def test_what_was_sold_out_when_a_version_was_made_stays_so(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    build_catalog(write_items(SHOP), tmp_path / "out", encoder, sold_out=["m3"])
    plain = Recall.open(tmp_path / "out", encoder)
    assert "m3" not in found(plain, "whole milk")
    assert "m3" not in [c.item for c in plain.popular(("milk",), 5)]
    living = LivingRecall(plain)
    assert "m3" not in found(living.now, "whole milk")
    living.apply([Stock("m3", in_stock=True)])
    assert found(living.now, "whole milk", 1) == ["m3"]


def test_vectors_that_have_moved_into_the_graph_are_found_as_before() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(700, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = NearVectors(32, exact=64)
    for start in range(0, 700, 50):
        near.add(vectors[start : start + 50])
        near.settle(60)
    _, numbers = near.search(vectors, 1, 700)
    assert (numbers[:, 0] == np.arange(700)).mean() > 0.99
    _, some = near.search(vectors[:5], 10, 300)
    assert some.max() < 300


NAMES = st.sampled_from(["m1", "m2", "t1", "t2", "n1", "n2"])
TITLES = st.sampled_from(["oat drink barista 1 l", "paper towels", "green lamp", "rye bread dark"])
CHANGES = st.one_of(
    st.builds(lambda name, title: Upsert(item(name, title, category="milk")), NAMES, TITLES),
    st.builds(Price, NAMES, st.floats(0, 100)),
    st.builds(Stock, NAMES, st.booleans()),
    st.builds(Remove, NAMES),
)


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(CHANGES, max_size=14), cut=st.integers(0, 14))
def test_the_state_is_what_the_changes_say_however_they_are_batched(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Change], cut: int
) -> None:
    encoder = WordEncoder()
    folder = tmp_path_factory.getbasetemp() / "property-shop"
    if not folder.exists():
        source = tmp_path_factory.getbasetemp() / "property.jsonl"
        source.write_text("\n".join(__import__("json").dumps(one) for one in SHOP))
        build_catalog(source, folder, encoder)
    living = LivingRecall(Recall(Catalog.open(folder), encoder, VectorIndex.open(folder, encoder)))
    living.apply(changes[:cut])
    living.apply(changes[cut:])

    expected = {one["item_id"]: str(one["title"]) for one in SHOP}
    known, sold = set(expected), set()
    for change in changes:
        name = change.item.item_id if isinstance(change, Upsert) else change.item_id
        if isinstance(change, Upsert):
            expected[name] = change.item.title
            known.add(name)
        elif name in known and isinstance(change, Stock):
            (sold.discard if change.in_stock else sold.add)(name)
        elif name in known and isinstance(change, Remove):
            expected.pop(name, None)
            sold.discard(name)
    now = living.now
    offered = found(now, "oat drink paper towels lamp bread", 100)
    assert sorted(offered) == sorted(set(expected) - sold)
    assert {name: now.catalog.title(now.catalog.row(name) or 0) for name in offered} == {
        name: expected[name] for name in offered
    }
