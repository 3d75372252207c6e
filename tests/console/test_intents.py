"""Whether a slate answers an intent, and the lists of behaviour: arithmetic on small made cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from console.verbs.evaluation.intents_found import Asked, by_behaviour, found
from stream.gate.state.recent import Recent
from stream.shoppers import Beginning, Intent
from stream.triggers import Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

_ITEMS = 60


def _row(item: str) -> int | None:
    return int(item) if item.isdigit() and int(item) < _ITEMS else None


def _beginning(wanted: Sequence[int], *acts: tuple[str, str]) -> Beginning:
    """An intent that ``wanted`` answers; the last two acts, (type, item), are its signs."""
    recent = [Recent(f"e{at}", type_, at, item) for at, (type_, item) in enumerate(acts)]
    intent = Intent(
        "ann", 7, True, "", "lamp", tuple(map(str, wanted)), [one.event_id for one in recent[-2:]]
    )
    trigger = Trigger("t", "new-intent", "", "ann", 1, recent[-1].event_id, 9, 9, 9, recent, [])
    return Beginning(intent, trigger, tuple(recent[-2:]), tuple(recent))


def _asked(*begun: Beginning) -> Asked:
    return Asked.of(begun, _row, _ITEMS)


def test_what_the_shopper_has_come_across_does_not_answer() -> None:
    asked = _asked(_beginning([3, 4, 5], ("view", "3"), ("click", "4")))
    assert [one.tolist() for one in asked.targets] == [[5]]
    assert np.flatnonzero(asked.seen[0]).tolist() == [3, 4]


def test_an_intent_that_nothing_else_answers_is_left_out() -> None:
    asked = _asked(
        _beginning([3, 4], ("view", "3"), ("view", "4")), _beginning([3, 9], ("view", "3"), ("view", "3"))
    )
    assert len(asked.begun) == len(asked.targets) == len(asked.seen) == 1


@pytest.mark.parametrize(
    ("places", "answered", "choice", "share"),
    [
        ([], (0, 0), (0, 0), (0, 0)),
        ([19], (1, 1), (0, 0), (0.05, 0.02)),
        ([20], (0, 1), (0, 0), (0, 0.02)),
        ([0, 1, 19], (1, 1), (1, 1), (0.15, 0.06)),
        ([0, 1, 49], (1, 1), (0, 1), (0.1, 0.06)),
    ],
)
def test_answers_are_counted_by_the_place_they_stand_on(
    places: list[int], answered: tuple[int, int], choice: tuple[int, int], share: tuple[float, float]
) -> None:
    asked = _asked(_beginning([50, 51, 52, 53], ("search", ""), ("search", "")))
    row = np.arange(50)
    row[places] = [50, 51, 52][: len(places)]
    values = found(row[None], asked)
    assert (values["answered@20"][0], values["answered@50"][0]) == answered
    assert (values["choice@20"][0], values["choice@50"][0]) == choice
    assert (values["share@20"][0], values["share@50"][0]) == pytest.approx(share)


def test_where_fewer_than_three_answer_all_of_them_are_a_choice() -> None:
    asked = _asked(_beginning([50, 3], ("view", "3"), ("view", "3")))
    row = np.r_[50, np.arange(49)]
    assert found(row[None], asked)["choice@20"][0] == 1.0


def test_a_slate_that_ended_has_no_answer_in_what_is_missing() -> None:
    asked = _asked(_beginning([50], ("search", ""), ("search", "")))
    assert found(np.full((1, 50), -1), asked)["answered@50"][0] == 0.0


def test_behaviour_offers_partners_then_what_is_popular_and_nothing_seen() -> None:
    asked = _asked(_beginning([9], ("view", "0"), ("view", "0")))
    weights = np.zeros((_ITEMS, _ITEMS), dtype=np.float32)
    weights[0, [9, 8, 0]] = [0.2, 0.7, 5.0]
    acts = np.zeros((1, _ITEMS), dtype=np.float32)
    acts[0, 0] = 1.0
    popular = np.zeros(_ITEMS)
    popular[[0, 30, 40]] = [99, 20, 10]
    rows = by_behaviour(weights, acts, asked, popular)
    assert rows[0, :4].tolist() == [8, 9, 30, 40]
    assert 0 not in rows
    assert by_behaviour(None, acts, asked, popular)[0, :2].tolist() == [30, 40]


def test_intents_are_told_apart_by_their_signs_and_by_how_much_answers_them() -> None:
    asked = _asked(
        _beginning([50], ("view", "1"), ("search", "")),
        _beginning(range(10, 20), ("click", "1"), ("view", "1")),
        _beginning(range(10, 40), ("view", "1"), ("view", "2")),
    )
    kinds = {name: np.flatnonzero(those).tolist() for name, those in asked.kinds().items()}
    assert kinds == {
        "searched": [0],
        "looked at one item": [1],
        "looked at several": [2],
        "up to 5 items answer": [0],
        "6 to 20": [1],
        "more than 20": [2],
    }
