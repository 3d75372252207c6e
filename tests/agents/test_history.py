import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import HistoryError
from agents.factors import Factor, Kind, Lexicon
from agents.history import DAY_MS, Cell, Purchase, join, monday_of, week_of, weeks_of, weeks_of_shopper
from agents.shopper import Act, LedgerLine, Shopper

_LEXICON = Lexicon(
    [
        Factor("mug", Kind.PRODUCT, 9, 0.6),
        Factor("owl", Kind.THEME, 5, 0.7),
        Factor("tea", Kind.THEME, 3, 0.8),
    ],
    titles=100,
)
_MONDAY = 1_746_403_200_000  # 2025-05-05


def _bought(
    days: int, title: str, category: str = "Cups", quantity: int = 2, amount: float = 5.5
) -> Purchase:
    return Purchase(_MONDAY + days * DAY_MS, title, category, quantity, amount)


def test_a_week_begins_on_monday_at_midnight_utc() -> None:
    assert week_of(_MONDAY) == week_of(_MONDAY + 7 * DAY_MS - 1) == week_of(_MONDAY - 1) + 1
    assert f"{monday_of(week_of(_MONDAY + 5 * DAY_MS)):%y%m%d}" == "250505"


def test_order_lines_of_a_week_and_category_are_added_up() -> None:
    cells = weeks_of(
        [_bought(0, "Owl mug"), _bought(6, "Mug"), _bought(7, "Mug"), _bought(0, "Tea", "Food")], _LEXICON
    )
    week = week_of(_MONDAY)
    assert cells == [
        Cell(week, "Cups", 2, 1100, 4, {"owl": 1, "mug": 2}),
        Cell(week, "Food", 1, 550, 2, {"tea": 1}),
        Cell(week + 1, "Cups", 1, 550, 2, {"mug": 1}),
    ]


def test_what_comes_at_or_after_the_moment_is_not_read() -> None:
    lines = [_bought(0, "Mug"), _bought(3, "Tea")]
    assert weeks_of(lines, _LEXICON, moment=lines[1].ts) == weeks_of(lines[:1], _LEXICON)


@pytest.mark.parametrize(
    ("amount", "quantity", "ts"),
    [(float("nan"), 1, 1), (float("inf"), 1, 1), (1e300, 1, 1), (1.0, -1, 1), (1.0, 1, -1), (1.0, 1, 10**17)],
)
def test_a_purchase_out_of_all_bounds_is_named(amount: float, quantity: int, ts: int) -> None:
    with pytest.raises(HistoryError, match="'sku-7'") as caught:
        weeks_of([Purchase(ts, "Mug", "Cups", quantity, amount, "sku-7")], _LEXICON)
    assert "Expected" in caught.value.way_out


_CELLS = st.lists(
    st.builds(
        Cell,
        st.integers(2800, 2803),
        st.sampled_from(["Cups", "Food", ""]),
        st.integers(0, 9),
        st.integers(0, 10**6),
        st.integers(0, 99),
        st.dictionaries(st.sampled_from(["mug", "owl"]), st.integers(1, 9)),
    ),
    max_size=8,
)


@given(_CELLS, _CELLS)
def test_joining_histories_loses_and_invents_nothing_and_changes_no_part(
    one: list[Cell], two: list[Cell]
) -> None:
    before = repr((one, two))
    joined = join(one, two)
    assert repr((one, two)) == before
    for name in ("acts", "cents", "quantity"):
        assert sum(getattr(c, name) for c in joined) == sum(getattr(c, name) for c in [*one, *two])
    assert len({(c.week, c.category) for c in joined}) == len(joined)
    assert join(two, one) == joined


def test_a_history_read_in_two_parts_is_the_history_read_at_once() -> None:
    lines = [_bought(day, title) for day, title in ((0, "Owl mug"), (1, "Tea"), (9, "Mug"))]
    assert join(weeks_of(lines[:2], _LEXICON), weeks_of(lines[2:], _LEXICON)) == weeks_of(lines, _LEXICON)


def _act(days: int, text: str, kind: str, category: str = "Cups") -> Act:
    return Act(f"e{days}{kind}", kind, _MONDAY + days * DAY_MS, text, category, "i", 2, 5.5)


def test_amounts_come_from_the_ledger_and_factors_from_the_acts() -> None:
    shopper = Shopper(
        "u",
        _MONDAY + 6 * DAY_MS,
        (_act(0, "Owl mug", "order"), _act(1, "Tea mug", "view"), _act(2, "poster owl", "impression")),
        ledger=(LedgerLine("250505", "Cups", 11.0, 4, 2), LedgerLine("250428", "Cups", 3.0, 1, 1)),
    )
    week = week_of(_MONDAY)
    assert weeks_of_shopper(shopper, _LEXICON) == [
        Cell(week - 1, "Cups", 1, 300, 1),
        Cell(week, "Cups", 3, 1100, 4, {"owl": 1, "mug": 2, "tea": 1}),
    ]


def test_an_order_that_the_ledger_does_not_know_counts_with_its_own_amount() -> None:
    shopper = Shopper("u", _MONDAY + DAY_MS, (_act(0, "Owl mug", "order"),))
    assert weeks_of_shopper(shopper, _LEXICON) == [
        Cell(week_of(_MONDAY), "Cups", 1, 550, 2, {"owl": 1, "mug": 1})
    ]


def test_a_shopper_who_only_searched_has_a_history_of_searches_without_category() -> None:
    acts = tuple(_act(day, "owl tea", "search", "") for day in range(3))
    cells = weeks_of_shopper(Shopper("u", _MONDAY + 3 * DAY_MS, acts), _LEXICON)
    assert cells == [Cell(week_of(_MONDAY), "", 3, 0, 0, {"owl": 3, "tea": 3})]


def test_a_ledger_week_that_is_no_date_is_named() -> None:
    shopper = Shopper("u", _MONDAY, (), ledger=(LedgerLine("2025-W19", "Cups", 1.0, 1),))
    with pytest.raises(HistoryError, match="2025-W19") as caught:
        weeks_of_shopper(shopper, _LEXICON)
    assert "yymmdd" in caught.value.way_out
