from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from stream.datasets.errors import DatasetError
from stream.datasets.online_retail import OnlineRetail
from stream.datasets.online_retail_titles import FALLBACK, readable_title, sort_of_gift

HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
LINES = """\
536365,85123a,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,85123A,WHITE HANGING  HEART T-LIGHT HOLDER ,2,2010-12-01 08:27:00,2.95,17850.0,United Kingdom
536366,22720,SET OF 3 CAKE TINS PANTRY DESIGN,1,2011-06-01 09:00:00,4.95,13047.0,United Kingdom
C536367,22720,SET OF 3 CAKE TINS PANTRY DESIGN,-1,2011-06-01 09:00:00,4.95,13047.0,United Kingdom
536368,POST,POSTAGE,1,2011-06-01 09:00:00,18.00,13047.0,France
536369,22720,SET OF 3 CAKE TINS PANTRY DESIGN,1,2011-06-01 09:00:00,4.95,,United Kingdom
536370,22720,SET OF 3 CAKE TINS PANTRY DESIGN,1,2011-06-01 09:00:00,0.0,13047.0,United Kingdom
536371,22720,SET OF 3 CAKE TINS PANTRY DESIGN,0,2011-06-01 09:00:00,4.95,13047.0,United Kingdom
536372,22720,SET OF 3 CAKE TINS PANTRY DESIGN,many,2011-06-01 09:00:00,4.95,13047.0,United Kingdom
536373,22720,SET OF 3 CAKE TINS PANTRY DESIGN,1,on Monday,4.95,13047.0,United Kingdom
536374,22720
"""
REAL = Path(__file__).parents[4] / "shared/data/online_retail/online_retail_2010-12_2011-09.csv.gz"


@pytest.fixture
def small(tmp_path: Path) -> OnlineRetail:
    path = tmp_path / "retail.csv"
    path.write_text(HEAD + LINES)
    return OnlineRetail(path)


def test_every_line_is_kept_or_counted_under_its_reason(small: OnlineRetail) -> None:
    tally = small.tally()
    assert (tally.read, tally.kept) == (11, 3)
    assert tally.dropped == {
        "cancellation": 1,
        "stock code is no product": 1,
        "no customer": 1,
        "price not positive": 1,
        "quantity not positive": 1,
        "unreadable field": 3,
    }


def test_the_catalogue_has_readable_titles_derived_categories_and_median_prices(small: OnlineRetail) -> None:
    assert list(small.catalog()) == [
        {
            "item_id": "85123A",
            "title": "White hanging heart t-light holder",
            "category": "Candles and holders",
            "price": 2.75,
            "brand": None,
            "popularity": 2,
            "attributes": {"type": "t-light holder"},
        },
        {
            "item_id": "22720",
            "title": "Set of 3 cake tins pantry design",
            "category": "Kitchen and baking",
            "price": 4.95,
            "brand": None,
            "popularity": 1,
            "attributes": {"type": "cake tins"},
        },
    ]


def test_british_time_becomes_utc_in_winter_and_in_summer(small: OnlineRetail) -> None:
    assert [(order["event_id"], order["ts"]) for order in small.orders()] == [
        ("or-536365-85123A-1", 1291191960000),
        ("or-536365-85123A-2", 1291192020000),
        ("or-536366-22720-1", 1306915200000),
    ]


def test_an_order_has_the_total_of_its_line(small: OnlineRetail) -> None:
    first = next(small.orders())
    assert (first["user_id"], first["quantity"], first["amount"]) == ("17850", 6, 15.3)


def test_browsing_precedes_the_first_line_of_an_invoice_written_over_a_minute(small: OnlineRetail) -> None:
    events = [event for event in small.events(seed=2) if event["session_id"] == "or-536365"]
    synthetic = [event["ts"] for event in events if event.get("synthetic")]
    assert synthetic
    assert max(synthetic) < 1291191960000


def test_a_span_and_users_give_exactly_those_events_of_the_whole(small: OnlineRetail) -> None:
    whole = list(small.events(seed=2))
    since, until = 1291192000000, 1306915000000
    assert list(small.events(seed=2, since=since, until=until)) == [
        e for e in whole if since <= e["ts"] < until
    ]
    assert list(small.events(seed=2, users=["13047"])) == [e for e in whole if e["user_id"] == "13047"]


def test_items_first_sold_after_the_cutoff_are_not_in_the_catalogue(
    small: OnlineRetail, tmp_path: Path
) -> None:
    dataset = OnlineRetail(tmp_path / "retail.csv", known_before=1300000000000)
    assert [row["item_id"] for row in dataset.catalog()] == ["85123A"]
    assert len(list(dataset.orders())) == 3


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(HEAD.replace("UnitPrice", "Price") + LINES)
    with pytest.raises(DatasetError, match="line 1 lacks the column UnitPrice"):
        OnlineRetail(path).tally()


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv.gz"
    path.write_bytes(gzip.compress((HEAD + LINES).encode())[:-20])
    with pytest.raises(DatasetError, match=r"retail\.csv\.gz"):
        OnlineRetail(path).tally()


def test_a_file_in_the_windows_code_page_is_read(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_bytes((HEAD + LINES.replace("PANTRY", "£5")).encode("cp1252"))
    assert list(OnlineRetail(path).catalog())[1]["title"] == "Set of 3 cake tins £5 design"


def test_a_file_without_one_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(HEAD)
    with pytest.raises(DatasetError, match="none of its 0 lines"):
        list(OnlineRetail(path).catalog())


@pytest.mark.parametrize(
    ("description", "category", "kind"),
    [
        ("CERAMIC BOWL WITH LOVE HEART DESIGN", "Tableware", "ceramic bowl"),
        ("JUMBO BAG RED RETROSPOT", "Bags and purses", "jumbo bag"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "Kitchen and baking", "cake tins"),
        ("S/4 BLACK MINI ROSE CANDLE IN BOWL", "Candles and holders", "rose candle"),
        ("WOBBLY CHIP", FALLBACK, "wobbly chip"),
        ("", FALLBACK, "other gifts"),
    ],
)
def test_the_head_noun_decides_the_category(description: str, category: str, kind: str) -> None:
    assert sort_of_gift(description) == (category, kind)


@pytest.mark.parametrize(
    ("description", "title"),
    [
        ("SET 2 TEA TOWELS I LOVE LONDON ", "Set 2 tea towels I love London"),
        ("BAG 125g SWIRLY MARBLES", "Bag 125g swirly marbles"),
        ("FOLK ART GREETING CARD,pack/12", "Folk art greeting card, pack/12"),
        ("TV DINNER TRAY VINTAGE PAISLEY", "TV dinner tray vintage paisley"),
    ],
)
def test_capitals_become_normal_case_but_for_names_and_units(description: str, title: str) -> None:
    assert readable_title(description) == title


@pytest.fixture(scope="module")
def real() -> OnlineRetail:
    if not REAL.is_file():
        pytest.skip("shared/data/online_retail is not beside this checkout")
    return OnlineRetail(REAL)


@pytest.mark.real
def test_the_real_lines_add_up_and_cover_the_catalogue(real: OnlineRetail) -> None:
    tally = real.tally()
    assert tally.read == 370_931 == tally.kept + sum(tally.dropped.values())
    rows = list(real.catalog())
    assert sum(row["popularity"] for row in rows) == tally.kept
    others = sum(row["popularity"] for row in rows if row["category"] == FALLBACK)
    assert others / tally.kept < 0.06


@pytest.mark.real
def test_the_first_real_events_are_in_order_and_unique(real: OnlineRetail) -> None:
    events = list(real.events(limit=10_000))
    assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
    assert len({e["event_id"] for e in events}) == 10_000
