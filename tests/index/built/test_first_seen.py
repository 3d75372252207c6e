from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import build_catalog
from index.built.first_seen import FIRST_SEEN, days_after, open_days, today
from index.errors import CatalogDamagedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems


def test_of_a_first_build_no_day_is_known(shop: Path) -> None:
    days = open_days(shop)
    assert days is not None
    assert not days.any()


def test_a_later_build_dates_what_the_one_before_lacked_and_keeps_the_rest(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    out = tmp_path / "out"
    build_catalog(write_items([{"item_id": "a", "title": "lamp"}]), out, encoder)
    build_catalog(
        write_items([{"item_id": "a", "title": "lamp"}, {"item_id": "b", "title": "rug"}]), out, encoder
    )
    days = open_days(out)
    assert days is not None
    assert days[0] == 0
    assert today() - 1 <= days[1] <= today()
    assert days_after(out, ["c", "b", "a"], 30_000).tolist() == [30_000, int(days[1]), 0]


def test_days_that_are_not_those_of_the_items_are_refused(shop: Path) -> None:
    size = (shop / FIRST_SEEN).stat().st_size
    np.save(shop / FIRST_SEEN, np.zeros(3, np.int32))
    (shop / FIRST_SEEN).write_bytes((shop / FIRST_SEEN).read_bytes().ljust(size, b"\0"))
    with pytest.raises(CatalogDamagedError, match="shape"):
        open_days(shop)
