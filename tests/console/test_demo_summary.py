"""The summary of a demo run."""

from __future__ import annotations

import pytest

from console.demo.summary import percentiles, summarise
from stream.gate.state.accounting import Accounting


def summary(**changes: object) -> dict[str, object]:
    given = {
        "sent": 10,
        "partitions": [
            Accounting(received=6, applied=5, dead=1, triggers=2),
            Accounting(received=4, applied=3, late=1),
        ],
        "fired": 2,
        "outcomes": {"served": 2},
        "rungs": {"llm": 1, "cached": 1},
        "empty": 0,
        "timings": {"total": [1.0, 3.0], "prepare": [1.0, 1.0], "recall": [2.0, 4.0], "write": [0.5, 0.5]},
        "seconds": {"first_slate_s": 1.234},
        "restarts": 0,
    }
    return summarise(**{**given, **changes})  # type: ignore[arg-type]


def test_partitions_are_added_up_and_balance_is_told() -> None:
    found = summary()
    assert (found["received"], found["applied"], found["late"], found["dead"]) == (10, 8, 1, 1)
    assert found["balanced"] is True


def test_two_partitions_that_are_off_do_not_balance_each_other() -> None:
    partitions = [Accounting(received=6, applied=5), Accounting(received=4, applied=5)]
    assert summary(partitions=partitions)["balanced"] is False


def test_what_was_not_received_is_told() -> None:
    assert summary()["all_received"] is True
    assert summary(sent=11)["all_received"] is False


def test_the_share_of_the_model_is_over_what_was_served() -> None:
    assert summary()["llm_share"] == 0.5
    assert summary(rungs={})["llm_share"] is None


def test_what_is_neither_model_nor_queue_is_added_up_slate_by_slate() -> None:
    assert summary()["stages_ms"]["own"] == {"p50": 4.5, "p95": 5.4, "p99": 5.5}  # type: ignore[index]


@pytest.mark.parametrize(("values", "expected"), [([], {}), ([5.0], {"p50": 5.0, "p95": 5.0, "p99": 5.0})])
def test_percentiles_of_few_values(values: list[float], expected: dict[str, float]) -> None:
    assert percentiles(values) == expected
