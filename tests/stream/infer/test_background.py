"""What the slow agents know of a shopper, from a built catalogue and a trigger's ledger up to the model's prompt."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agents import Act, AgentSettings, Ladder, LedgerLine, Shopper
from agents.background import Told
from agents.runtime import Generation, Request
from index import Catalog, Recall, VectorIndex, build_catalog
from index.channels.behaviour import Neighbours
from index.recall.beside import Beside
from stream.infer.background import LivingBackgrounds, living_backgrounds
from tests.stream.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agents.portrait import Portrait

_NOW = 1_746_921_600_000
_TITLES = [
    f"{colour} {kind}" for kind in ("lunch bag", "tea mug", "garden pot") for colour in ("red", "owl", "rose")
]
_IDS = tuple(f"i{at}" for at in range(len(_TITLES)))


class Listening:
    """A runtime that keeps what it was asked."""

    name, model = "server", "listening"

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def prepare(self, prompt: object, structure: object) -> None:
        """Nothing to do."""

    async def generate(self, requests: Sequence[Request], deadline: float | None = None) -> list[Generation]:
        self.asked += requests
        return [Generation(one.structure.dump(["owl lamp"]), 9, 3, "stop") for one in requests]

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def recall(tmp_path: Path) -> Recall:
    file = tmp_path / "items.jsonl"
    file.write_text(
        "".join(
            json.dumps({"item_id": item, "title": title, "category": title.split()[1], "price": 2.0 + at})
            + "\n"
            for at, (item, title) in enumerate(zip(_IDS, _TITLES, strict=True))
        )
    )
    encoder = Words()
    build_catalog(file, tmp_path / "shop", encoder)
    partners = np.array([[(at + 1) % 9, (at + 2) % 9] for at in range(9)], dtype=np.int32)
    together = Neighbours("ease", partners, np.full((9, 2), 0.5, dtype=np.float32), None)
    shop = tmp_path / "shop"
    return Recall(
        Catalog.open(shop),
        encoder,
        VectorIndex.open(shop, encoder),
        beside=Beside(neighbours=(together, _IDS)),
    )


def _shopper(weeks: int = 3) -> Shopper:
    acts = tuple(
        Act(
            f"e{at}", "order", _NOW - (9 - at) * 60_000, _TITLES[at], _TITLES[at].split()[1], _IDS[at], 2, 5.0
        )
        for at in (0, 1)
    )
    ledger = tuple(LedgerLine(f"2504{7 * week:02}", "lunch", 40.0, 8, 4) for week in range(1, weeks + 1))
    return Shopper("u", _NOW, acts, ledger, categories=("lunch",))


def _settings(**more: object) -> AgentSettings:
    return AgentSettings.model_validate({"runtime": "server", "server": {"model": "any"}, **more})


async def test_a_server_is_told_portrait_ledger_and_preferences_and_what_the_like_went_on_to_want(
    recall: Recall,
) -> None:
    settings, runtime = _settings(leads=[]), Listening()
    ladder = Ladder(runtime, settings, background=living_backgrounds(settings, recall))  # type: ignore[arg-type]
    (answer,) = await ladder.infer([_shopper()])
    text = runtime.asked[0].text
    assert [line.partition(":")[0] for line in text.splitlines()][:2] == ["portrait", "ledger"]
    assert "lately: " in text
    # Two of the shopper's own items speak for the third bag.
    assert "rose" in next(line for line in text.splitlines() if line.startswith("may like: "))
    assert answer.demands[0].query == "owl lamp"


def test_trends_of_the_shoppers_categories_are_offered(recall: Recall, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(
        "".join(
            json.dumps(
                {"id": f"p{at}", "ts": _NOW - at, "text": "Everybody wants an owl lunch bag this spring."}
            )
            + "\n"
            for at in range(4)
        )
    )
    backgrounds = living_backgrounds(_settings(background={"trends": str(file)}), recall)
    assert backgrounds is not None
    (known,) = backgrounds([replace(_shopper(), recent=())])
    assert known.background is not None
    assert any("owl" in trend for trend in known.background.trends)


def test_the_portrait_is_made_anew_only_when_the_ledger_has_moved(recall: Recall) -> None:
    backgrounds = LivingBackgrounds(_settings(), recall)
    first, again, moved = (backgrounds([_shopper(weeks)])[0].background for weeks in (3, 3, 4))
    assert first is not None
    assert again is not None
    assert moved is not None
    assert again.portrait is first.portrait
    assert moved.portrait is not first.portrait


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, True),
        ({"background": {"told": Told.NEVER}}, False),
        ({"runtime": "local"}, False),
        ({"runtime": "local", "background": {"told": Told.ALWAYS}}, True),
        ({"runtime": "student", "background": {"told": Told.ALWAYS}}, False),
        ({"prompt": "u2q-student-1"}, False),
    ],
)
def test_who_has_room_is_told(recall: Recall, more: dict[str, object], told: bool) -> None:
    assert (living_backgrounds(_settings(**more), recall) is not None) is told


async def test_a_portrait_that_has_words_is_told_with_them_and_one_without_by_its_facts(
    recall: Recall,
) -> None:
    class Words:
        """Words for one shopper."""

        def of(self, user: str, portrait: Portrait) -> Portrait:
            return replace(portrait, wording="after owl bags", worded_by="m") if user == "u" else portrait

    backgrounds = living_backgrounds(_settings(), recall)
    assert backgrounds is not None
    words: Any = Words()
    backgrounds.word_by(words)
    runtime = Listening()
    ladder = Ladder(runtime, _settings(leads=[]), background=backgrounds)
    await ladder.infer([_shopper(), replace(_shopper(), user_id="v")])
    worded, plain = (one.text.splitlines()[0] for one in runtime.asked)
    assert worded == f"{plain}; after owl bags"


async def test_in_process_a_model_that_is_asked_by_leads_draws_on_the_background(recall: Recall) -> None:
    settings = AgentSettings.model_validate({"runtime": "local", "leads": ["recent", "potential"]})
    runtime = Listening()
    ladder = Ladder(runtime, settings, background=living_backgrounds(settings, recall))  # type: ignore[arg-type]
    (result,) = await ladder.infer([_shopper()])
    assert ["may like: " in one.text for one in runtime.asked] == [False, True]
    assert result.demands[-1].leads == ("recent", "potential")
