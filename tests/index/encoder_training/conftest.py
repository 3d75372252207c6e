"""A shop of two halves: whoever buys from one half never buys from the other, and titles tell nothing of it."""

from __future__ import annotations

from random import Random

import pytest

from index.channels.purchases import DAY_MS, Purchases

NOW = 100 * DAY_MS
ITEMS = 80


def half_of(item: int) -> int:
    return item % 2


@pytest.fixture
def titles() -> list[str]:
    random = Random(3)
    words = [f"word{number}" for number in range(200)]
    return [" ".join(random.sample(words, 4)) for _ in range(ITEMS)]


@pytest.fixture
def log() -> Purchases:
    random = Random(5)
    lines = []
    for user in range(60):
        mine = [item for item in range(ITEMS) if half_of(item) == user % 2]
        for day in (10, 40, 90):
            lines += [(f"u{user}", f"i{item}", day * DAY_MS, 1.0, 1.0) for item in random.sample(mine, 5)]
    return Purchases.of(lines, [f"i{item}" for item in range(ITEMS)])
