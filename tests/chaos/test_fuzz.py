"""Hostile records through the decoder and the gate; `make chaos-fuzz` sends a million."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from stream.events import DefectiveEventError, EventDecoder

from .fuzz import NOW, fuzz, mutate


@pytest.mark.real
def test_fifty_thousand_hostile_records_crash_nothing_and_are_all_accounted_for(
    shopping: list[dict[str, Any]],
) -> None:
    told = fuzz(shopping, 50_000)
    assert told["applied"] > 5_000
    assert told["dead"] > 10_000
    assert told["triggers read again"] > 50
    assert len([name for name in told if name.startswith("dead: ")]) >= 8


@pytest.mark.real
def test_the_quick_way_of_decoding_says_what_the_thorough_one_says(shopping: list[dict[str, Any]]) -> None:
    rng = random.Random(5)
    quick, thorough = EventDecoder(), EventDecoder()

    def said(decode: Any, value: bytes | None) -> Any:
        try:
            return msgspec.structs.asdict(decode(value, NOW))
        except DefectiveEventError as error:
            return error.defect

    for _ in range(20_000):
        value = mutate(rng.choice(shopping), rng.choice(shopping), rng)
        assert said(quick.decode, value) == said(thorough._examine, value), value
    assert quick.fields_dropped == thorough.fields_dropped > 0
