"""The catalogue is as it was at each trigger, forwards and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from index.living import Remove, Upsert
from stream.catalog.record import decode_changes
from stream.replay.wire.as_it_was import AsItWas, Dated
from tests.stream.replay import shop

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.in_place import Thinking

UPSERT = decode_changes(b'{"op": "upsert", "item_id": "new", "title": "fresh milk", "category": "Food"}')
REMOVE = decode_changes(b'{"op": "remove", "item_id": "new"}')


def test_a_change_counts_from_its_time_on_and_no_longer_when_the_past_is_asked_for_again(
    tmp_path: Path,
) -> None:
    catalog = shop.build(tmp_path)
    made = 0

    async def make() -> Thinking:
        nonlocal made
        made += 1
        return shop.thinking_of(catalog)

    assert isinstance(UPSERT[0], Upsert)
    assert isinstance(REMOVE[0], Remove)
    was = AsItWas(make, [Dated(10, UPSERT), Dated(10, ()), Dated(20, REMOVE)])

    def offered(at: int) -> bool:
        return asyncio.run(was.at(at)).living.now.catalog.is_offered("new")

    assert [offered(at) for at in (9, 10, 15, 19, 20, 30)] == [False, True, True, True, False, False]
    assert made == 1
    assert [offered(at) for at in (15, 20, 5)] == [True, False, False]
    assert made == 3
    assert was.same(10, 19)
    assert not was.same(9, 10)
    assert not was.same(15, 20)
