"""Times counted into buckets give back counts, sums and percentiles."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.metrics.latency import BOUNDS_S, Latency

_SECONDS = st.floats(min_value=0, max_value=400, allow_nan=False)


def noted(seconds: list[float]) -> Latency:
    latency = Latency()
    for one in seconds:
        latency.note(one)
    return latency


@settings(deadline=None)
@given(st.lists(_SECONDS, min_size=1), st.floats(min_value=0.01, max_value=1))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    found = noted(seconds).quantile(share)
    rank = min(max(-(-share * len(seconds) // 1), 1), len(seconds))
    true = sorted(seconds)[int(rank) - 1]
    place = bisect_left(BOUNDS_S, true)
    lower = BOUNDS_S[place - 1] if place else 0.0
    upper = BOUNDS_S[min(place, len(BOUNDS_S) - 1)]
    assert found is not None
    assert lower <= found <= upper or found == BOUNDS_S[-1]


@settings(deadline=None)
@given(st.lists(_SECONDS))
def test_buckets_only_grow_and_the_last_has_all(seconds: list[float]) -> None:
    latency = noted(seconds)
    counts = [count for _, count in latency.cumulative()]
    assert counts == sorted(counts)
    assert counts[-1] == latency.count == len(seconds)
    assert abs(latency.total_s - sum(seconds)) < 1e-6 * max(1, sum(seconds))
    for bound, count in latency.cumulative():
        assert count == sum(one <= float(bound) for one in seconds)


def test_before_the_first_there_is_no_percentile_and_a_clock_that_runs_behind_counts_as_no_time() -> None:
    latency = Latency()
    assert latency.quantile(0.5) is None
    latency.note(-3)
    assert (latency.count, latency.total_s) == (1, 0.0)
