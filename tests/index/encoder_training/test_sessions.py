from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from index.encoder_training import take_pairs

MINUTE = 60_000


def event(kind: str, minute: float, user: str = "ann", **more: Any) -> dict[str, Any]:
    return {"type": kind, "ts": int(minute * MINUTE), "user_id": user, **more}


def test_a_search_belongs_to_what_is_chosen_within_ten_minutes_before_the_next_search() -> None:
    found = take_pairs(
        [
            event("search", 0, query="  red   lamp "),
            event("click", 1, item_id="a"),
            event("view", 2, user="bob", item_id="z"),
            event("order", 9, item_id="b"),
            event("cart", 11, item_id="late"),
            event("search", 12, query="mug"),
            event("view", 13, item_id="c"),
        ]
    )
    assert dict(found.searched) == {("red lamp", "a"): 1, ("red lamp", "b"): 1, ("mug", "c"): 1}


def test_items_looked_at_one_after_the_other_belong_together() -> None:
    views = [("a", 0), ("a", 1), ("b", 2), ("c", 40)]
    found = take_pairs([event("view", minute, item_id=item) for item, minute in views])
    assert dict(found.seen) == {("a", "b"): 1}


def test_invented_events_and_those_after_the_moment_teach_nothing() -> None:
    events = [
        event("search", 0, query="lamp"),
        event("click", 1, item_id="a", synthetic=True),
        event("click", 2, item_id="b"),
        event("click", 5, item_id="c"),
    ]
    found = take_pairs(events, before=4 * MINUTE)
    assert dict(found.searched) == {("lamp", "b"): 1}
    assert found.skipped["synthetic"] == 1


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["type", "ts", "user_id", "item_id", "query"]),
            st.one_of(
                st.none(), st.text(max_size=4), st.integers(), st.sampled_from(["search", "click", "view"])
            ),
        ),
        max_size=12,
    )
)
def test_no_event_however_odd_is_more_than_passed_over(events: list[dict[str, Any]]) -> None:
    found = take_pairs(events)
    assert all(query.strip() and item for query, item in found.searched)
    assert all(one != other for one, other in found.seen)
