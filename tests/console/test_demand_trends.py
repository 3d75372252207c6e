"""Trends made of what began to sell: which titles rise, and whom they are offered to."""

import json
from pathlib import Path

import numpy as np
import pytest

from agents import Act, Shopper
from console.verbs.evaluation.demand_trends import Trending, rising
from console.verbs.evaluation.purchases import Bought, moment_of, read_purchases

_DAY = 86_400_000
_CUTOFF = moment_of("2011-09-01")


class _Letters:
    """Texts as counts of letters: enough to tell two words from each other."""

    def encode(self, texts: list[str]) -> np.ndarray:
        vectors = np.array(
            [[text.lower().count(chr(97 + at)) for at in range(26)] for text in texts], np.float32
        )
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def bought(tmp_path: Path) -> Bought:
    """A lamp that four shoppers buy every week, a swing that eight buy in the last but one, a clock after the cutoff."""
    items = {"lamp": "table lamp", "pot": "flower pot", "swing": "garden swing", "clock": "wall clock"}
    catalog = tmp_path / "items.jsonl"
    catalog.write_text(
        "".join(
            json.dumps(
                {"item_id": one, "title": title, "category": "Garden" if one in ("swing", "pot") else "Home"}
            )
            + "\n"
            for one, title in items.items()
        )
    )
    sold = [("lamp", week, user) for week in range(12) for user in range(6)]
    sold += [("swing", 1, user) for user in range(8)] + [("swing", 3, user) for user in range(4)]
    sold.append(("pot", 11, 0))
    sold += [("clock", -1, user) for user in range(9)]
    events = tmp_path / "orders.jsonl"
    events.write_text(
        "".join(
            json.dumps({
                "event_id": str(number), "user_id": f"u{user}", "type": "order", "item_id": item,
                "ts": _CUTOFF - week * 7 * _DAY - 3 * _DAY,
            })
            + "\n"
            for number, (item, week, user) in enumerate(sold)
        )
    )  # fmt: skip
    return read_purchases(events, catalog)


def test_a_title_is_a_document_of_every_week_in_which_it_began_to_sell(bought: Bought) -> None:
    (document,) = rising(bought, bought.log.before(_CUTOFF), _CUTOFF)
    assert (document.title, document.category) == ("garden swing", "Garden")
    assert document.ts == _CUTOFF - 1 - 7 * _DAY


def test_a_trend_is_offered_to_whom_its_category_concerns_and_who_has_not_met_it(bought: Bought) -> None:
    trending = Trending(bought, bought.log.before(_CUTOFF), _CUTOFF, _Letters())
    assert trending.documents == 1
    assert [one.query for one in trending.trends] == ["garden swing"]

    def shopper(*had: str) -> Shopper:
        texts = {"lamp": "table lamp", "swing": "garden swing", "pot": "flower pot"}
        return Shopper(
            "u", _CUTOFF, tuple(Act(one, "order", _CUTOFF - _DAY, texts[one], item_id=one) for one in had)
        )

    both, reader, owner = trending.of([shopper("lamp", "pot"), shopper("lamp"), shopper("pot", "swing")])
    assert both.background is not None
    assert both.background.trends == ("garden swing",)
    assert reader.background is not None
    assert reader.background.trends == ()
    assert owner.background is not None
    assert owner.background.trends == ()
