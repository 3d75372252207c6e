"""Hostile records through the decoder and the gate; `make chaos-fuzz` sends a million."""

from __future__ import annotations

from typing import Any

import pytest

from .fuzz import fuzz


@pytest.mark.real
def test_fifty_thousand_hostile_records_crash_nothing_and_are_all_accounted_for(
    shopping: list[dict[str, Any]],
) -> None:
    told = fuzz(shopping, 50_000)
    assert told["applied"] > 5_000
    assert told["dead"] > 10_000
    assert told["triggers read again"] > 50
    assert len([name for name in told if name.startswith("dead: ")]) >= 8
