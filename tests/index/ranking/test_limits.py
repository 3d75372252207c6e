from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from index.errors import CatalogError
from index.ranking.limits import Caps, Room


@given(st.lists(st.integers(-1, 4), max_size=40), st.integers(1, 5))
def test_no_group_is_taken_beyond_its_cap_and_the_unknown_have_none(groups: list[int], cap: int) -> None:
    group = np.array(groups, dtype=np.int64)
    room = Room(len(group), {"brand": group}, {"brand": cap})
    taken = []
    while room.open.any():
        taken.append(int(room.open.argmax()))
        room.take(taken[-1])
    got = group[taken]
    for one in range(5):
        assert (got == one).sum() == min(cap, int((group == one).sum()))
    assert (got == -1).sum() == (group == -1).sum()


def test_a_cap_for_what_candidates_do_not_tell_is_an_error() -> None:
    with pytest.raises(CatalogError, match="cap for seller"):
        Room(2, {}, Caps(seller=1).given())


def test_a_cap_of_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        Caps(brand=0)
