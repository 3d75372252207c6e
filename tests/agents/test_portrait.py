import dataclasses

import pytest

from agents.factors import Factor, Kind, Lexicon
from agents.history import DAY_MS, Cell, Purchase, week_of
from agents.portrait import Buyer, Portrait, ledger_mark, portrait_of, portrait_of_cells, refreshed
from agents.price_bands import Band, PriceBands
from agents.shopper import LedgerLine

_LEXICON = Lexicon(
    [
        Factor("mug", Kind.PRODUCT, 9, 0.6),
        Factor("owl", Kind.THEME, 5, 0.7),
        Factor("wedding", Kind.OCCASION, 3, 0.8),
        Factor("blue", Kind.COLOUR, 3, 0.8),
    ],
    titles=100,
)
_MOMENT = 1_746_921_600_000
_NOW = week_of(_MOMENT)


def _lines(
    days: list[int], *, quantity: int = 1, title: str = "owl mug {}", categories: int = 1, price: float = 2.0
) -> list[Purchase]:
    return [
        Purchase(
            _MOMENT - day * DAY_MS - 1,
            title.format(at),
            f"Category {at % categories}",
            quantity,
            price * quantity,
        )
        for at, day in enumerate(days)
    ]


def _of(lines: list[Purchase]) -> Portrait:
    return portrait_of(lines, _LEXICON, _MOMENT)


@pytest.mark.parametrize(
    ("lines", "buyer"),
    [
        ([], Buyer.UNKNOWN),
        (_lines([1, 2]), Buyer.UNKNOWN),
        (_lines([5, 5, 6], quantity=30), Buyer.EVENT),
        (_lines([5, 90, 200], title="wedding mug {}"), Buyer.EVENT),
        (_lines([5, 30, 60, 90] * 10, quantity=8), Buyer.SHOP),
        (_lines(list(range(0, 120, 3)), categories=9), Buyer.DROP_SHIPPER),
        (_lines(list(range(0, 120, 3)), categories=9, title="milk"), Buyer.REGULAR),
        (_lines(list(range(0, 300, 20))), Buyer.REGULAR),
        (_lines([1, 40, 100, 300]), Buyer.PERSONAL),
    ],
)
def test_the_kind_of_buyer_follows_the_rules(lines: list[Purchase], buyer: Buyer) -> None:
    assert _of(lines).buyer is buyer


def test_the_facts_are_counted() -> None:
    lines = [*_lines([10, 40, 60], quantity=6), *_lines([10], title="blue thing", categories=1)]
    made = _of([dataclasses.replace(line, category="Cups") for line in lines[:3]] + lines[3:])
    assert made.categories == (("Cups", 0.75), ("Category 0", 0.25))
    assert (made.days, made.lines, made.cadence_days) == (3, 4, 25.0)
    assert made.intent == ("owl", "mug")
    assert made.facts() == "shop buyer; cups 75%, category 0 25%; every 25 days; after owl, mug"
    assert (made.wording, made.worded_by) == ("restocks owl, mug", "code")


def test_what_comes_after_the_moment_is_not_read() -> None:
    assert _of(_lines([1, 40, 100, -5])) == _of(_lines([1, 40, 100]))


def test_a_price_band_is_a_third_of_the_shops_prices_in_the_category() -> None:
    bands = PriceBands([("Cups", price) for price in range(1, 10)] + [("Few", 1.0), ("Few", 2.0)])
    assert [bands.band([("Cups", price)]) for price in (1, 5, 9)] == [Band.LOW, Band.MIDDLE, Band.HIGH]
    assert bands.band([("Cups", 1.0), ("Cups", 9.0), ("Cups", 8.5)]) is Band.HIGH
    assert bands.band([("Few", 1.0), ("Unheard of", 9.0), ("Cups", 0.0)]) is Band.UNKNOWN
    assert PriceBands([("Cups", -1.0), ("Cups", 0.0)]).band([("Cups", 1.0)]) is Band.UNKNOWN


def test_from_weekly_cells_alone_a_shop_is_told_from_a_person() -> None:
    def year(quantity: int) -> list[Cell]:
        return [Cell(_NOW - week, "Cups", 3, 900 * quantity, 3 * quantity, {"mug": 3}) for week in (1, 9, 20)]

    assert portrait_of_cells(year(8), _LEXICON, _MOMENT).buyer is Buyer.SHOP
    assert portrait_of_cells(year(1), _LEXICON, _MOMENT).buyer is Buyer.PERSONAL


def test_searches_alone_make_an_unknown_buyer() -> None:
    made = portrait_of_cells([Cell(_NOW, "", 4, 0, 0, {"owl": 4})], _LEXICON, _MOMENT)
    assert made.buyer is Buyer.UNKNOWN
    assert made.facts() == "unknown buyer"


def test_the_same_ledger_has_the_same_mark_and_any_change_another() -> None:
    one, two = LedgerLine("250505", "Cups", 11.0, 4), LedgerLine("250428", "Cups", 3.0, 1)
    assert ledger_mark((one, two)) == ledger_mark((two, one))
    others = [
        dataclasses.replace(one, week="250512"),
        dataclasses.replace(one, category="Cup"),
        dataclasses.replace(one, amount=11.01),
        dataclasses.replace(one, quantity=5),
    ]
    assert len({ledger_mark((other, two)) for other in [one, *others]}) == 5
    assert ledger_mark((LedgerLine("250505", "\ud800", 1.0, 1),)) != ledger_mark(())


def test_a_portrait_is_made_anew_only_when_the_ledger_has_moved() -> None:
    made = []

    def make() -> Portrait:
        made.append(1)
        return _of(_lines([1, 40, 100]))

    first = refreshed(None, "a", make)
    assert refreshed(first, "a", make) is first
    second = refreshed(first, "b", make)
    assert (second.mark, len(made)) == ("b", 2)


def test_hostile_categories_stay_within_their_words_in_the_facts() -> None:
    lines = [dataclasses.replace(line, category='x"; ignore\n{all}: #|_') for line in _lines([1, 40, 100])]
    facts = _of(lines).facts()
    assert not set(facts) & set('"{}:#|_\n')
