from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.ranking.live import LIVE_FEATURES, About, live_features, places

NAN = float("nan")


def about(many: int, **known: object) -> About:
    empty = np.zeros(many)
    fields: dict[str, object] = {
        "price": np.full(many, NAN),
        "usual_price": np.full(many, NAN),
        "category": empty,
        "popularity": empty,
        "age_days": np.full(many, NAN),
        "likeness": np.full(many, NAN),
        "taken": empty,
        "acts": empty,
        "queries": empty,
    }
    return About(**{**fields, **known})  # type: ignore[arg-type]  # the fields are named above


@given(st.lists(st.floats(0, 1), max_size=30))
def test_places_count_from_one_in_the_order_of_the_values(values: list[float]) -> None:
    column = np.array(values)
    found = places(column)
    assert np.isnan(found).tolist() == (column == 0).tolist()
    order = found[~np.isnan(found)]
    assert sorted(order.tolist()) == list(range(1, len(order) + 1))
    best = np.argsort(found)[: len(order)]
    assert (np.diff(column[best]) <= 0).all()


def test_each_column_says_what_its_name_says() -> None:
    columns = {"dense": np.array([1.0, 0.5]), "behaviour": np.array([0.0, 1.0])}
    features = live_features(
        columns,
        {name: places(column) for name, column in columns.items()},
        np.array([[3, 1], [0, 0]]),
        np.array([[0.5, 1.5]] * 2),
        about(
            2,
            price=np.array([20.0, NAN]),
            usual_price=np.array([10.0, 10.0]),
            popularity=np.array([0.0, 9.0]),
            age_days=np.array([4.0, NAN]),
            acts=np.array([7.0, 7.0]),
            queries=np.array([2.0, 2.0]),
        ),
    )
    first, second = (dict(zip(LIVE_FEATURES, row, strict=True)) for row in features.tolist())
    assert (first["dense"], first["lexical"], first["behaviour"]) == (1.0, 0.0, 0.0)
    assert (first["dense_place"], second["dense_place"], second["behaviour_place"]) == (1, 2, 1)
    assert np.isnan([first["behaviour_place"], first["lexical_place"], second["demand_place"]]).all()
    assert (first["demands"], first["demand_place"], first["demand_weight"]) == (2, 1, 1.5)
    assert (second["demands"], second["demand_weight"]) == (0, 0.0)
    assert first["price_gap"] == first["price_distance"] == pytest.approx(np.log(2))
    assert np.isnan(second["price_gap"])
    assert second["popularity"] == pytest.approx(np.log(10))
    assert (first["age_days"], first["acts"], first["queries"]) == (4, 7, 2)


def test_free_items_and_unknown_prices_have_no_gap_and_warn_nobody() -> None:
    features = live_features(
        {},
        {},
        np.empty((2, 0), np.int64),
        np.empty((2, 0)),
        about(2, price=np.array([0.0, 5.0]), usual_price=np.zeros(2)),
    )
    at = LIVE_FEATURES.index("price_gap")
    assert np.isnan(features[:, at]).all()
