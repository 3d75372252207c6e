import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.factors import Factor, Kind, Lexicon
from agents.history import DAY_MS, Cell, week_of
from agents.preference import Horizon, Preference, PreferenceSettings, Wanted, preferences
from agents.shopper import Act

_LEXICON = Lexicon(
    [
        Factor("mug", Kind.PRODUCT, 9, 0.6),
        Factor("owl", Kind.THEME, 5, 0.7),
        Factor("tea", Kind.THEME, 3, 0.8),
        Factor("item", Kind.FEATURE, 100, 0.0),
    ],
    titles=100,
)
_MOMENT = 1_746_921_600_000
_NOW = week_of(_MOMENT)


def _of(horizon: Horizon, found: tuple[Preference, ...]) -> dict[str, Preference]:
    return {one.value: one for one in found if one.horizon is horizon}


def _act(days: float, text: str, kind: str = "view", category: str = "Cups") -> Act:
    return Act(f"e{days}", kind, int(_MOMENT - days * DAY_MS), text, category)


def _long(*cells: Cell, wanted: tuple[Wanted, ...] = ()) -> tuple[Preference, ...]:
    return preferences(cells, (), _MOMENT, _LEXICON, wanted=wanted)


def test_the_weight_is_the_formula_of_the_docstring() -> None:
    found = _of(Horizon.LONG, _long(Cell(_NOW - 26, "Cups", 10, 0, 10, {"mug": 8}), Cell(_NOW, "Cups", 4)))
    assert found["mug"].weight == pytest.approx(0.6 * (8 / 2) / (10 / 2 + 4 + 5))
    assert found["mug"].support == 8
    assert found["mug"].factor is Kind.PRODUCT


def test_what_was_bought_lately_weighs_more_than_what_was_bought_long_ago() -> None:
    found = _of(
        Horizon.LONG,
        _long(Cell(_NOW - 50, "Cups", 5, 0, 5, {"tea": 5}), Cell(_NOW - 1, "Cups", 5, 0, 5, {"owl": 5})),
    )
    assert found["owl"].weight > found["tea"].weight


def test_a_single_purchase_is_no_long_term_preference() -> None:
    assert _long(Cell(_NOW, "Cups", 1, 0, 1, {"mug": 1})) == ()


def test_what_every_title_says_is_no_preference() -> None:
    assert _long(Cell(_NOW, "Cups", 9, 0, 9, {"item": 9, "unheard of": 9})) == ()


def test_a_thin_history_weighs_less_than_a_long_one_of_the_same_kind() -> None:
    thin = _of(Horizon.LONG, _long(Cell(_NOW, "Cups", 2, 0, 2, {"mug": 2})))["mug"]
    thick = _of(Horizon.LONG, _long(Cell(_NOW, "Cups", 40, 0, 40, {"mug": 40})))["mug"]
    assert thin.weight < thick.weight


def test_recent_acts_count_by_type_and_age_and_reach_two_weeks_back() -> None:
    acts = (_act(20, "tea"), _act(1, "owl", "impression"), _act(1, "mug", "cart"), _act(3, "owl"))
    found = _of(Horizon.RECENT, preferences((), acts, _MOMENT, _LEXICON))
    assert set(found) == {"mug", "owl"}
    assert found["mug"].weight > found["owl"].weight
    assert found["owl"].support == 1


def test_what_similar_shoppers_wanted_is_potential_unless_the_shopper_has_it() -> None:
    wanted = (Wanted("tea", "Cups", 5), Wanted("mug", "Cups", 5))
    found = _of(Horizon.POTENTIAL, _long(Cell(_NOW, "Cups", 9, 0, 9, {"mug": 9}), wanted=wanted))
    assert set(found) == {"tea"}
    assert found["tea"].support == 5


def test_one_similar_shopper_is_not_enough_and_weights_below_zero_count_nothing() -> None:
    assert _long(wanted=(Wanted("tea", "Cups", 1), Wanted("mug", "Cups", 9, weight=-1.0))) == ()


def test_acts_and_weeks_after_the_moment_are_not_read() -> None:
    found = preferences((Cell(_NOW + 1, "Cups", 9, 0, 9, {"mug": 9}),), (_act(-1, "owl"),), _MOMENT, _LEXICON)
    assert found == ()


def test_a_shopper_who_only_searched_has_recent_preferences_without_category() -> None:
    found = preferences((), (_act(0, "owl tea", "search", ""),), _MOMENT, _LEXICON)
    assert {(one.horizon, one.category, one.value) for one in found} == {
        (Horizon.RECENT, "", "owl"),
        (Horizon.RECENT, "", "tea"),
    }


def test_every_preference_has_an_id_of_its_own() -> None:
    cells = (Cell(_NOW, "Cups", 9, 0, 9, {"mug": 9, "owl": 3}), Cell(_NOW, "Bags", 9, 0, 9, {"owl": 3}))
    found = preferences(cells, (_act(1, "owl mug"),), _MOMENT, _LEXICON, wanted=(Wanted("tea", "Food", 3),))
    assert len({one.id for one in found}) == len(found) == 6


@given(
    st.lists(
        st.builds(
            Cell,
            st.integers(_NOW - 60, _NOW),
            st.sampled_from(["Cups", "Bags", ""]),
            st.integers(0, 10**6),
            st.just(0),
            st.just(0),
            st.dictionaries(st.sampled_from(["mug", "owl", "tea", "item"]), st.integers(1, 10**6)),
        ),
        max_size=10,
    ),
    st.integers(1, 4),
)
def test_preferences_are_bounded_in_number_and_ordered_by_weight(cells: list[Cell], most: int) -> None:
    found = preferences(cells, (), _MOMENT, _LEXICON, settings=PreferenceSettings(most=most))
    assert len(found) <= most
    assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
    assert all(one.weight > 0 and one.support >= 2 for one in found)
