"""Where a time is over on a partition is told by its records, and never too early."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from stream.beyond import ALLOWANCE_MS, IN_A_ROW, Beyond

UNTIL = 10_000_000


class Sent(NamedTuple):
    timestamp: int
    timestamp_type: int = 0


def test_with_the_brokers_own_times_the_first_later_record_ends_it() -> None:
    beyond = Beyond(UNTIL)
    assert not beyond.all([Sent(UNTIL - 5, 1), Sent(UNTIL, 1)])
    assert beyond.all([Sent(UNTIL, 1), Sent(UNTIL + 1, 1)])


def test_with_the_producers_times_many_in_a_row_beyond_the_allowance_end_it() -> None:
    later = [Sent(UNTIL + ALLOWANCE_MS + 1)]
    beyond = Beyond(UNTIL)
    assert not beyond.all([Sent(UNTIL + ALLOWANCE_MS)] * IN_A_ROW * 2)
    assert not beyond.all(later * (IN_A_ROW - 1))
    assert beyond.all(later)


def test_one_clock_that_is_ahead_does_not_end_it_but_says_that_the_order_tells_nothing() -> None:
    beyond = Beyond(UNTIL)
    assert not beyond.all([Sent(UNTIL * 100), Sent(UNTIL - 1)])
    assert beyond.disordered
    assert not beyond.all([Sent(UNTIL * 100)] * IN_A_ROW * 3)


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=60),
    st.integers(1, 7),
    st.integers(0, 100),
)
def test_nothing_up_to_the_time_comes_after_it_is_over_where_times_are_in_order(
    steps: list[int], together: int, share: int
) -> None:
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    until = times[-1] * share // 100
    records = [Sent(at, 1) for at in times]
    beyond = Beyond(until)
    for start in range(0, len(records), together):
        if beyond.all(records[start : start + together]):
            assert all(at > until for at in times[start + together :])
            assert times[min(start + together, len(times)) - 1] > until
            break
