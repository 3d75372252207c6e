"""The slate that a shopper would have seen is the newest that was made for them before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.gate.state.accounting import Accounting
from stream.replay.comparing.columns import Book, columns_from, prompt_hash
from stream.replay.comparing.next_acts import Acts, Shown, by_kind, hits_of
from stream.replay.run import SCHEMA, Hashes, Run, Told

if TYPE_CHECKING:
    from stream.replay.comparing.columns import Columns

FAR = 1_746_000_000_000


def columns(triggers: list[tuple[str, int, list[str] | None]], book: Book) -> Columns:
    """A run with these triggers: shopper, time and slate; None for no slate."""
    run = Run(
        schema=SCHEMA, made_at="", told=Told(name="r", capture="c", capture_sha256="", rules="r"),
        hashes=Hashes("", "", "", "", ""), events=0, accounting=Accounting(), triggers=len(triggers), rungs={},
        model_calls=0, texts_encoded=0, hits=0, misses=0, seconds={},
    )  # fmt: skip
    return columns_from(
        run,
        [(user, "rule", f"e{at}", ts) for at, (user, ts, _) in enumerate(triggers)],
        [(at, "llm", prompt_hash("p", str(at)), ["tea"], 1, 1) for at in range(len(triggers))],
        [(at, items, 1, 0, 0) for at, (_, _, items) in enumerate(triggers) if items is not None],
        book,
    )


users = st.sampled_from(["a", "b", "c"])
times = st.integers(0, 30).map(lambda offset: FAR + offset)
slates = st.none() | st.lists(st.sampled_from("uvwxyz"), unique=True, max_size=4)


@given(
    st.lists(st.tuples(users, times, slates), max_size=12).map(
        lambda rows: sorted(rows, key=lambda row: row[1])
    ),
    st.lists(st.tuples(users, st.integers(-5, 50).map(lambda offset: FAR + offset)), max_size=12),
    st.none() | st.integers(0, 20),
    st.booleans(),
)
def test_it_is_found_as_by_looking_at_each(
    triggers: list[tuple[str, int, list[str] | None]],
    asked: list[tuple[str, int]],
    within: int | None,
    at: bool,
) -> None:
    book = Book.new()
    shown = Shown(columns(triggers, book))
    found = shown.before(
        np.array([book.users(user) for user, _ in asked], np.int64),
        np.array([ts for _, ts in asked], np.int64),
        within=within,
        at=at,
    )
    for (user, ts), row in zip(asked, found.tolist(), strict=True):
        before = [
            (made, place)
            for place, (who, made, slate) in enumerate(triggers)
            if who == user and slate is not None and (made <= ts if at else made < ts)
        ]
        expected = max(before, default=None)
        if expected is None or (within is not None and ts - expected[0] > within):
            assert row == -1
        else:
            assert row == expected[1]


def test_hits_have_the_place_of_the_item_in_the_slate_of_the_time() -> None:
    book = Book.new()
    run = columns([("a", FAR, ["x", "y"]), ("a", FAR + 10, ["y"]), ("b", FAR, ["z"])], book)
    rows = [("a", 5, "y", 0), ("a", 15, "y", 1), ("a", 15, "x", 0), ("b", 5, "y", 0), ("b", 500, "z", 0)]
    acts = Acts(
        np.array([book.users(user) for user, *_ in rows]),
        np.array([FAR + ts for _, ts, *_ in rows]),
        np.array([kind for *_, kind in rows]),
        np.array([book.items(item) for _, _, item, _ in rows]),
        ["click", "order"],
    )
    places = hits_of(run, Shown(run), acts, horizon=100)
    assert places.tolist() == [2, 1, 0, 0, 0]
    assert by_kind(acts, places > 0) == {"click": 1, "order": 1}
    assert acts.counted() == {"click": 4, "order": 1}


def test_a_prompt_has_one_number_in_every_process() -> None:
    assert prompt_hash("u2q-1", "views: tea") == prompt_hash("u2q-1", "views: tea")
    assert prompt_hash("u2q-1", "views: tea") != prompt_hash("u2q-2", "views: tea")
