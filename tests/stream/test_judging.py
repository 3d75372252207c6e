"""The shelf over a small catalogue, its encoder one that counts words; and over a catalogue that changes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agents import Act, Shopper
from agents.judge import Case, Thing
from agents.settings import JudgeSettings
from index import EncoderSettings, Item, Recall, build_catalog, open_encoder
from index.channels.behaviour import Behaviour
from index.channels.dense import Dense
from index.channels.lexical import Lexical
from index.channels.purchases import Purchases
from index.living import LivingRecall, Remove, Upsert
from stream import judging
from stream.judging import LivingJudge, Shelf
from tests.stream.words import Words

if TYPE_CHECKING:
    from pathlib import Path

TITLES = ["Red lunch bag", "Pink lunch bag", "Cake stand", "Garden pot"]
IDS = ("a", "b", "c", "d")


class Catalogue:
    """Four items; as many of them as were there at the time."""

    def __init__(self, size: int = 4, build: str = "b1") -> None:
        self.size = size
        self.manifest = SimpleNamespace(build_id=build)

    def __len__(self) -> int:
        return self.size

    def row(self, item_id: str) -> int | None:
        return IDS.index(item_id) if item_id in IDS[: self.size] else None

    def item_id(self, row: int) -> str:
        return IDS[row]

    def title(self, row: int) -> str:
        return TITLES[row]

    def category(self, row: int) -> str:
        return "bags" if row < 2 else "home"

    def popularity(self, row: int) -> float:
        return float(row)


def _shelf(size: int = 4, before: Shelf | None = None) -> Shelf:
    encoder = Words()
    lines = [
        (user, item, 1, 1.0, 1.0) for user, items in (("u", "ab"), ("v", "ab"), ("w", "bc")) for item in items
    ]
    together = Behaviour.item_knn(Purchases.of(lines, IDS)).sparse(3)
    return Shelf(
        Catalogue(size),
        Dense(encoder, encoder.encode(TITLES[:size])),
        Lexical.build({"title": TITLES[:size]}),
        encoder,
        together=(together, IDS),
        before=before,
    )


def test_the_nearest_by_meaning_and_by_words_come_once_with_what_is_known_of_them() -> None:
    ((*found,),) = _shelf().near(["pink lunch bag"])
    best = max(found, key=lambda one: one.likeness)
    assert (best.item, best.title, best.category) == ("b", "Pink lunch bag", "bags")
    assert best.likeness > 0.99
    assert len({one.item for one in found}) == len(found)


def test_a_word_is_rarer_in_fewer_titles_and_unknown_in_none() -> None:
    shelf = _shelf()
    lunch, pink = shelf.rarity("lunch"), shelf.rarity("pink")
    assert lunch is not None
    assert pink is not None
    assert 0 < lunch < pink <= shelf.rarest
    assert shelf.rarity("umbrella") is None


def test_items_are_compared_by_their_vectors_searches_by_their_words_and_empty_ones_not_at_all() -> None:
    likeness = _shelf().likeness(["pink lunch bag"], [Thing("b", ""), Thing("", "cake"), Thing("", "  ")])
    assert likeness[0, 0] > 0.99
    assert likeness[0, 1] < 0.5
    assert np.isnan(likeness[0, 2])


def test_what_is_bought_together_speaks_most_and_items_never_sold_stay_open() -> None:
    found = _shelf().affinity({"a": 1.0}, ["b", "c", "d", "nobody's"])
    assert found is not None
    assert found[0] > found[1] >= 0
    assert np.isnan(found[2:]).all()


def test_shares_of_categories_add_up() -> None:
    shelf = _shelf()
    assert shelf.category_share("bags") + shelf.category_share("home") == 1.0
    assert shelf.category_share("nothing") == 0.0


def test_counts_taken_over_from_an_earlier_state_are_those_of_counting_anew() -> None:
    grown, fresh = _shelf(4, before=_shelf(2)), _shelf(4)
    assert [grown.rarity(word) for word in ("lunch", "cake", "pot")] == [
        fresh.rarity(word) for word in ("lunch", "cake", "pot")
    ]
    assert grown.category_share("home") == fresh.category_share("home")
    assert grown.near(["cake"]) == fresh.near(["cake"])


def test_the_living_judge_is_made_anew_only_when_the_catalogue_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Shelf | None] = []

    def shelf_of(recall: SimpleNamespace, before: Shelf | None = None) -> Shelf:
        made.append(before)
        return _shelf(len(recall.catalog), before)

    monkeypatch.setattr(judging, "shelf_of", shelf_of)
    living = SimpleNamespace(now=SimpleNamespace(catalog=Catalogue(2)))
    judge = LivingJudge(JudgeSettings(), living)  # type: ignore[arg-type]
    first = judge()
    assert judge() is first
    living.now = SimpleNamespace(catalog=Catalogue(4))
    assert judge() is not first
    living.now = SimpleNamespace(catalog=Catalogue(4, build="b2"))
    judge()
    assert [one is None for one in made] == [True, False, True]


@pytest.mark.real
def test_the_judge_over_a_built_catalogue_knows_what_it_has_and_learns_of_a_new_item(tmp_path: Path) -> None:
    source = tmp_path / "items.jsonl"
    rows = [
        {"item_id": item, "title": title, "category": "c"} for item, title in zip(IDS, TITLES, strict=True)
    ]
    source.write_text("\n".join(map(json.dumps, rows)))
    encoder = open_encoder(EncoderSettings())
    build_catalog(source, tmp_path / "catalog", encoder)
    built = Recall.open(tmp_path / "catalog", encoder)
    judges, living = LivingJudge(JudgeSettings(), built), LivingRecall(built)
    judges.follow(living)
    shopper = Shopper("u", 2, (Act("e", "view", 1, "Red lunch bag", "c", "a"),))
    case = Case(shopper, ("pink lunch bag", "zinc lantern"))
    ((bag, lantern),) = judges().judge([case])
    assert bag.answerable > 0.5 > lantern.answerable
    assert "the catalogue lacks it" in lantern.reasons[0]
    living.apply([Upsert(Item(item_id="e", title="Zinc lantern", category="c"))])
    ((_, found),) = judges().judge([case])
    assert found.answerable > 0.5
    living.apply([Remove("e")])
    ((_, gone),) = judges().judge([case])
    assert gone.answerable < 0.5
