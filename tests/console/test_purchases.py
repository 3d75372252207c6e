"""Purchases as verbs read them: what of their items a student may write, and up to when a student has seen them."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from console.errors import ConsoleError
from console.verbs.evaluation.purchases import Bought, student_cutoff
from index.channels.purchases import Purchases

_TITLES = ["FAIRY SOAP SOAP HOLDER", "", "Garden spade"]


def _bought() -> Bought:
    lines = np.zeros(0, dtype=np.int64)
    log = Purchases(("u",), ("a", "b", "c"), lines, lines, lines, lines.astype(float), lines.astype(float))
    return Bought(log, Counter(), _TITLES, np.array([0, -1, 1]), ("Bath", "Garden"))


def test_on_offer_are_short_titles_as_a_worker_has_them() -> None:
    assert _bought().on_offer() == ["Fairy Soap Holder", "Garden spade"]
    assert _bought().on_offer(np.array([False, True, True])) == ["Garden spade"]


def test_an_item_without_a_category_has_an_empty_one() -> None:
    assert [_bought().category_of(item) for item in range(3)] == ["Bath", "", "Garden"]


def test_a_student_says_up_to_when_it_has_seen_purchases(tmp_path: Path) -> None:
    facts = tmp_path / "student.json"
    facts.write_text(json.dumps({"pairs": {"cutoff": "2011-09-01"}}))
    assert student_cutoff(tmp_path) == "2011-09-01"
    facts.write_text(json.dumps({"pairs": {}}))
    with pytest.raises(ConsoleError, match="does not say up to when"):
        student_cutoff(tmp_path)
