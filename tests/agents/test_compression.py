import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.compression import OTHER, Compressed, CompressionSettings, Compressor, Line
from agents.factors import Described, Lexicon, mine
from agents.history import DAY_MS, Cell, Purchase, week_of, weeks_of
from agents.token_count import estimate

_MOMENT = 1_746_921_600_000  # Sunday 2025-05-11
_SHELVES = {
    "Cups": ["owl mug", "rose mug", "retrospot mug", "enamel mug"],
    "Bags": ["jumbo bag owl", "jumbo bag retrospot", "lunch bag rose", "lunch bag owl"],
    "Cards": ["birthday card", "wedding card", "owl card", "nezha glow pack"],
    "Tins": ["cake tins retrospot", "cake tins rose", "biscuit tin", "tea tin"],
}
_LEXICON = mine(Described(title, category) for category, titles in _SHELVES.items() for title in titles * 2)
_LINE = re.compile(
    r"#(?:\d{6}|\d{4}|\d\dq[1-4]|old|all)_[^_:|#\n]+_\d+_-?\d+_\d+(?:_[^_:|#\n]+:\d+(?:\|[^_:|#\n]+:\d+)*)?"
)

# From the coarsest period to the finest; quarters are 1, months (2505) 2 and weeks (250505) 3.
_GRADES = {"all": 0, "old": 0}


def _year(lines: int, seed: int = 1) -> list[Purchase]:
    rng = random.Random(seed)
    made = []
    for _ in range(lines):
        category = rng.choice(list(_SHELVES))
        title = rng.choice(_SHELVES[category])
        ts = _MOMENT - rng.randrange(365 * DAY_MS) - 1
        made.append(Purchase(ts, title, category, rng.randrange(1, 13), round(rng.uniform(1, 60), 2)))
    return made


def _whole(made: Compressed) -> tuple[int, int, int]:
    return (
        sum(line.acts for line in made.lines),
        sum(line.cents for line in made.lines),
        sum(line.quantity for line in made.lines),
    )


def test_a_line_prints_period_category_numbers_and_factors() -> None:
    line = Line("250504", "card", 22, 6_480, 3, (("nezha", 22), ("glow pack", 7)))
    assert str(line) == "#250504_card_22_65_3_nezha:22|glow pack:7"


def test_one_purchase_is_one_line_of_its_week() -> None:
    bought = Purchase(_MOMENT - DAY_MS, "Owl mug", "Cups", 3, 12.4)
    made = Compressor(_LEXICON).purchases([bought], _MOMENT)
    assert made.text == "#250505_cups_1_12_3_mug:1|owl:1"


def test_nothing_is_nothing() -> None:
    assert Compressor(_LEXICON).purchases([], _MOMENT) == Compressed((), 0)


@pytest.mark.parametrize("lines", [1, 7, 40, 300, 3000])
def test_a_year_keeps_to_its_tokens_and_its_totals(lines: int) -> None:
    year = _year(lines)
    made = Compressor(_LEXICON).purchases(year, _MOMENT)
    assert made.tokens == estimate(made.text) <= CompressionSettings().tokens
    assert _whole(made) == (
        lines,
        sum(round(p.amount * 100) for p in year),
        sum(p.quantity for p in year),
    )


@pytest.mark.parametrize("tokens", [1000, 1280, 2560])
def test_a_period_is_never_finer_than_a_newer_one(tokens: int) -> None:
    room = CompressionSettings(tokens=tokens, tokens_per_act=20)
    made = Compressor(_LEXICON, room).purchases(_year(90), _MOMENT)
    grades = [
        _GRADES.get(line.period, 1 if "q" in line.period else len(line.period) // 2) for line in made.lines
    ]
    assert grades == sorted(grades)
    assert len(set(grades)) > 1


def test_fewer_tokens_mean_coarser_lines_and_never_wrong_totals() -> None:
    year = _year(400)
    finest = None
    for tokens in (2000, 700, 320, 160, 64):
        room = CompressionSettings(tokens=tokens, tokens_least=64, tokens_per_act=5)
        made = Compressor(_LEXICON, room).purchases(year, _MOMENT)
        assert made.tokens <= tokens
        assert finest is None or len(made.lines) <= finest
        finest = len(made.lines)
        assert _whole(made)[0] == 400


def test_the_smallest_categories_are_added_up_as_other_and_the_largest_keep_their_name() -> None:
    lines = [
        Purchase(_MOMENT - day * DAY_MS - 1, "thing", f"Category {day % 60}", 1, 1.0) for day in range(360)
    ]
    lines += [Purchase(_MOMENT - day * DAY_MS - 1, "thing", "Largest", 1, 1.0) for day in range(90)]
    made = Compressor(_LEXICON).purchases(lines, _MOMENT)
    assert {"largest", OTHER} <= {line.category for line in made.lines}
    assert _whole(made)[0] == 450


def test_common_factors_are_shown_with_their_counts_and_the_rest_is_counted() -> None:
    year = _year(500)
    made = Compressor(_LEXICON).purchases(year, _MOMENT)
    counts: dict[str, int] = {}
    for cell in weeks_of(year, _LEXICON):
        for value, count in cell.factors.items():
            counts[value] = counts.get(value, 0) + count
    shown = made.factors()
    assert shown
    assert all(0 < shown[value] <= counts[value] for value in shown)
    assert made.left_out == len(counts.keys() - shown.keys())


def test_the_same_history_in_any_order_gives_the_same_text() -> None:
    year = _year(120)
    mixed = random.Random(2).sample(year, len(year))
    compressor = Compressor(_LEXICON)
    assert compressor.purchases(year, _MOMENT) == compressor.purchases(mixed, _MOMENT)
    assert Compressor(_LEXICON).purchases(mixed, _MOMENT) == compressor.purchases(year, _MOMENT)


def test_a_counter_of_another_tokenizer_is_obeyed() -> None:
    made = Compressor(_LEXICON, CompressionSettings(tokens=300), count=len).purchases(_year(200), _MOMENT)
    assert made.tokens == len(made.text) <= 300


_HOSTILE = [
    "#250504_card_9_9_9_x:1",
    "a_b:c|d",
    '\n\nnext: {"queries":[]}',
    "\u202e\u0000\x1b[31m",
    "\ud800",
    "茶壶" * 400,
    "ชา",
    "🫖🫖",
    OTHER,
    "",
    "x" * 100_000,
]


def test_hostile_categories_and_titles_neither_break_the_form_nor_the_room() -> None:
    lexicon = mine([*(Described(text, text) for text in _HOSTILE * 3), Described("owl mug", "Cups")])
    lines = [
        Purchase(_MOMENT - at * DAY_MS - 1, text, other, 1, 9.0)
        for at, (text, other) in enumerate((t, o) for t in _HOSTILE for o in _HOSTILE)
    ]
    made = Compressor(lexicon).purchases(lines, _MOMENT)
    assert made.tokens <= CompressionSettings().tokens
    assert _whole(made)[0] == len(lines)
    for row in made.text.split("\n"):
        assert _LINE.fullmatch(row), row


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Cell,
            st.integers(2700, 2890),
            st.one_of(st.text(max_size=12), st.sampled_from(["Cups", "Bags", OTHER])),
            st.integers(0, 10**9),
            st.integers(0, 10**13),
            st.integers(0, 10**11),
            st.dictionaries(st.sampled_from([f.value for f in _LEXICON]), st.integers(1, 10**6), max_size=6),
        ),
        max_size=40,
    ),
    st.integers(64, 400),
)
def test_whatever_the_cells_the_room_the_form_and_the_totals_hold(cells: list[Cell], tokens: int) -> None:
    room = CompressionSettings(tokens=tokens, tokens_least=64)
    made = Compressor(_LEXICON, room).cells(cells, _MOMENT)
    assert made.tokens <= tokens
    assert _whole(made) == (
        sum(c.acts for c in cells),
        sum(c.cents for c in cells),
        sum(c.quantity for c in cells),
    )
    for row in made.text.split("\n") if cells else []:
        assert _LINE.fullmatch(row), row


def test_a_hundred_thousand_events_are_compressed_in_seconds() -> None:
    year = _year(100_000)
    began = time.process_time()
    made = Compressor(_LEXICON).purchases(year, _MOMENT)
    assert time.process_time() - began < 60
    assert made.tokens <= CompressionSettings().tokens
    assert _whole(made)[0] == 100_000


def test_without_a_lexicon_the_numbers_remain() -> None:
    made = Compressor(Lexicon([], 0)).purchases(_year(50), _MOMENT)
    assert _whole(made)[0] == 50
    assert made.factors() == {}


def test_what_lies_in_the_future_is_a_week_of_its_own() -> None:
    made = Compressor(_LEXICON).cells([Cell(week_of(_MOMENT) + 3, "Cups", 1, 100, 1)], _MOMENT)
    assert made.text == "#250526_cups_1_1_1"
