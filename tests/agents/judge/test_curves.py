import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import CalibrationError
from agents.judge.curves import Curves, Steps

NAMES = ("rising", "noise")


def _data(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    values = random.uniform(size=(n, 2))
    good = random.uniform(size=n) < 1 / (1 + np.exp(-10 * (values[:, 0] - 0.5)))
    return values, good


def test_a_curve_learns_what_tells_good_from_bad_and_ignores_what_does_not() -> None:
    values, good = _data()
    curves = Curves.fit(NAMES, values, good)
    odds = curves.log_odds(values)
    assert odds[good].mean() > odds[~good].mean() + 2
    parts = curves.parts(values)
    assert np.ptp(parts[:, 0]) > 4 * np.ptp(parts[:, 1])


def test_a_curve_bends_where_the_data_does() -> None:
    values = np.linspace(0, 1, 400)[:, None]
    good = np.abs(values[:, 0] - 0.5) < 0.25
    odds = Curves.fit(("hill",), values, good).log_odds(np.array([[0.0], [0.5], [1.0]]))
    assert odds[1] > 0 > max(odds[0], odds[2])


def test_a_missing_measure_has_a_value_of_its_own() -> None:
    values, good = _data()
    values[good & (values[:, 1] < 0.5), 0] = np.nan
    odds = Curves.fit(NAMES, values, good).log_odds(np.array([[np.nan, 0.5], [0.1, 0.5]]))
    assert odds[0] > odds[1]


def test_beyond_the_data_a_curve_is_flat() -> None:
    values, good = _data()
    curves = Curves.fit(NAMES, values, good)
    assert curves.log_odds(np.array([[9.0, 0.5]])) == pytest.approx(
        curves.log_odds(np.array([[values[:, 0].max(), 0.5]]))
    )


def test_curves_come_back_from_json_as_they_were() -> None:
    values, good = _data()
    curves = Curves.fit(NAMES, values, good)
    again = Curves.from_json(json.loads(json.dumps(curves.to_json())), NAMES)
    assert again.log_odds(values) == pytest.approx(curves.log_odds(values))


@pytest.mark.parametrize(
    "broken", [{}, {"base": 0, "measures": {"rising": {}}}, {"base": 0, "measures": {"other": {}}}]
)
def test_what_is_no_curve_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(CalibrationError):
        Curves.from_json(broken, ("rising",))


def test_one_kind_alone_teaches_nothing() -> None:
    with pytest.raises(CalibrationError, match="all good"):
        Curves.fit(("x",), np.zeros((10, 1)), np.ones(10, dtype=bool))


def test_steps_never_fall_and_match_the_share_that_is_good() -> None:
    random = np.random.default_rng(1)
    odds = random.normal(size=4000)
    good = random.uniform(size=4000) < 1 / (1 + np.exp(-3 * odds))
    steps = Steps.fit(odds, good)
    assert list(steps.chance) == sorted(steps.chance)
    high = odds > 0.5
    assert steps(odds[high]).mean() == pytest.approx(good[high].mean(), abs=0.03)


@settings(max_examples=30)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20))
def test_steps_give_chances_for_any_odds(odds: list[float]) -> None:
    steps = Steps((-1.0, 0.0, 2.0), (0.1, 0.4, 0.9))
    assert ((steps(np.array(odds)) >= 0.1) & (steps(np.array(odds)) <= 0.9)).all()


def test_a_handful_does_not_calibrate() -> None:
    with pytest.raises(CalibrationError, match="needs 40"):
        Steps.fit(np.zeros(10), np.ones(10, dtype=bool))
