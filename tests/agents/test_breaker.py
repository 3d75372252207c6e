from hypothesis import given
from hypothesis import strategies as st

from agents.breaker import Breaker, State


def _opened(failures: int = 3, pause: float = 10.0) -> Breaker:
    breaker = Breaker(failures, pause)
    for _ in range(failures):
        breaker.failed(0.0)
    return breaker


def test_it_stays_closed_below_the_limit_and_a_success_resets_the_count() -> None:
    breaker = Breaker(3, 10.0)
    for _ in range(2):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0.0)
    assert breaker.state(0.0) is State.CLOSED
    assert breaker.admit(0.0)


def test_it_opens_after_the_limit_and_lets_nothing_pass_during_the_pause() -> None:
    breaker = _opened()
    assert breaker.state(0.0) is State.OPEN
    assert not breaker.admit(9.99)


def test_after_the_pause_exactly_one_probe_passes() -> None:
    breaker = _opened()
    assert breaker.admit(10.0)
    assert breaker.state(10.0) is State.HALF_OPEN
    assert not breaker.admit(10.1)


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = _opened()
    breaker.admit(10.0)
    breaker.succeeded()
    assert breaker.state(10.0) is State.CLOSED


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    breaker = _opened()
    breaker.admit(10.0)
    breaker.failed(11.0)
    assert not breaker.admit(20.9)
    assert breaker.admit(21.0)


def test_a_probe_that_never_reports_does_not_hold_it_open_for_ever() -> None:
    breaker = _opened()
    assert breaker.admit(10.0)
    assert breaker.admit(20.0)


@given(st.lists(st.sampled_from(["ok", "fail", "wait"]), max_size=60))
def test_whatever_happens_it_admits_within_one_pause(happened: list[str]) -> None:
    breaker, now = Breaker(2, 5.0), 0.0
    for what in happened:
        now += 1.0 if what == "wait" else 0.0
        if breaker.admit(now):
            breaker.succeeded() if what == "ok" else breaker.failed(now)
    assert breaker.admit(now + 5.0)
