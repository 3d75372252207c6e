"""What a shopper bought, by week and category."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.gate.state.ledger import DAY_MS, WEEK_MS, Ledger, LedgerEntry, week_of

START = 1_700_000_000_000


def test_weeks_begin_on_monday_in_utc() -> None:
    monday = 1_699_833_600_000  # 2023-11-13
    assert week_of(monday - 1) + 1 == week_of(monday) == week_of(monday + WEEK_MS - 1)


def test_it_adds_up_by_week_and_category_and_forgets_old_weeks() -> None:
    ledger = Ledger()
    ledger.enter(START, "tea", 250, 2)
    ledger.enter(START + 1, "tea", 100, 1)
    ledger.enter(START, "cups", 999, 1)
    ledger.enter(START + WEEK_MS, "tea", 1, 1)
    week = week_of(START)
    assert ledger.first_week == week
    assert ledger.entries() == [
        LedgerEntry(week, "cups", 999, 1, 1),
        LedgerEntry(week, "tea", 350, 3, 2),
        LedgerEntry(week + 1, "tea", 1, 1, 1),
    ]
    ledger.forget_before(week + 1)
    assert ledger.entries() == [LedgerEntry(week + 1, "tea", 1, 1, 1)]
    ledger.forget_before(week + 9)
    assert (ledger.json(), ledger.first_week) == (b"[]", 0)


@given(
    st.lists(st.tuples(st.integers(0, 90), st.text(max_size=3), st.integers(0, 10**11)), max_size=12),
    st.data(),
)
def test_being_written_down_in_between_changes_nothing(
    bought: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    whole, often = Ledger(), Ledger()
    for day, category, cents in bought:
        for ledger in (whole, often):
            ledger.enter(START + day * DAY_MS, category, cents, 1)
        if data.draw(st.booleans()):
            often = Ledger(often.json())
            often.forget_before(week_of(START) - 5)
    assert often.json() == whole.json()


@pytest.mark.parametrize("data", [b"x", b"7", b"[7]", b"[[1]]", b'[[1,"c",1,1]]'])
def test_what_is_no_ledger_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Ledger(data)
