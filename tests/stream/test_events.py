"""Events: whatever bytes arrive, there is a valid event or a defect with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import (
    EARLIEST_TS,
    EVENT_TYPES,
    Defect,
    DefectiveEventError,
    EventDecoder,
    Limits,
    clean_text,
)

NOW = 1_700_000_000_000
GOOD: dict[str, Any] = {"event_id": "e1", "user_id": "u1", "type": "view", "ts": NOW, "item_id": "i1"}


def record(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != field}).encode()


def defect_of(value: bytes | None, decoder: EventDecoder | None = None) -> Defect:
    with pytest.raises(DefectiveEventError) as caught:
        (decoder or EventDecoder()).decode(value, NOW)
    assert caught.value.detail
    return caught.value.defect


def test_a_good_event_has_every_field_it_came_with() -> None:
    event = EventDecoder().decode(
        record(type="order", quantity=2, amount=3.5, scene="detail", session_id="s", synthetic=True), NOW
    )
    assert (event.event_id, event.user_id, event.type, event.ts, event.item_id) == (
        "e1",
        "u1",
        "order",
        NOW,
        "i1",
    )
    assert (event.quantity, event.amount, event.scene, event.session_id, event.synthetic) == (
        2, 3.5, "detail", "s", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "defect"),
    [
        (None, Defect.EMPTY),
        (b"", Defect.EMPTY),
        (record(query="x" * 1_000_000), Defect.TOO_LARGE),
        (b" " * 70_000, Defect.TOO_LARGE),
        (b"nonsense", Defect.MALFORMED),
        (record()[:-1], Defect.MALFORMED),
        (record() + b"}", Defect.MALFORMED),
        (b"\x00" + record(), Defect.MALFORMED),
        (record().replace(b"u1", b"u\xff"), Defect.MALFORMED),
        (record().replace(b"u1", b"u\x00"), Defect.MALFORMED),
        (b'{"x": ' + b"[" * 60_000, Defect.MALFORMED),
        (b'{"x":' * 12_000, Defect.MALFORMED),
        (b'{"event_id": "e", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", Defect.MALFORMED),
        (b"[]", Defect.WRONG_TYPE),
        (b"null", Defect.WRONG_TYPE),
        (b"17", Defect.WRONG_TYPE),
        (without("event_id"), Defect.WRONG_TYPE),
        (without("user_id"), Defect.WRONG_TYPE),
        (without("type"), Defect.WRONG_TYPE),
        (without("ts"), Defect.WRONG_TYPE),
        (record(user_id=7), Defect.WRONG_TYPE),
        (record(user_id=None), Defect.WRONG_TYPE),
        (record(ts=str(NOW)), Defect.WRONG_TYPE),
        (record(ts=NOW + 0.5), Defect.WRONG_TYPE),
        (record(ts=True), Defect.WRONG_TYPE),
        (record(quantity=True), Defect.WRONG_TYPE),
        (record(quantity=1.5), Defect.WRONG_TYPE),
        (record(item_id=["i1"]), Defect.WRONG_TYPE),
        (record(synthetic="yes"), Defect.WRONG_TYPE),
        (record(type="levitate"), Defect.UNKNOWN_TYPE),
        (record(type="View"), Defect.UNKNOWN_TYPE),
        (record(type=""), Defect.UNKNOWN_TYPE),
        (record(user_id=""), Defect.BAD_ID),
        (record(user_id="  "), Defect.BAD_ID),
        (record(user_id="u\n1"), Defect.BAD_ID),
        (record(user_id="u\u0000"), Defect.BAD_ID),
        (record(user_id="u\u202e1"), Defect.BAD_ID),
        (record(user_id="u" * 129), Defect.BAD_ID),
        (record(event_id="e\u2028"), Defect.BAD_ID),
        (record(item_id="i\u0007"), Defect.BAD_ID),
        (record(item_id="i" * 129), Defect.BAD_ID),
        (record(ts=0), Defect.BAD_TIME),
        (record(ts=-NOW), Defect.BAD_TIME),
        (record(ts=NOW // 1000), Defect.BAD_TIME),
        (record(ts=EARLIEST_TS - 1), Defect.BAD_TIME),
        (record(ts=NOW + 600_001), Defect.BAD_TIME),
        (record(ts=2**62), Defect.BAD_TIME),
        (record(quantity=0), Defect.BAD_AMOUNT),
        (record(quantity=-1), Defect.BAD_AMOUNT),
        (record(type="order", quantity=1_000_001), Defect.BAD_AMOUNT),
        (record(type="order", amount=-0.01), Defect.BAD_AMOUNT),
        (record(type="order", amount=1e10), Defect.BAD_AMOUNT),
        (record(type="search", item_id=None), Defect.MISSING_FIELD),
        (record(type="search", query=" \u202e\n "), Defect.MISSING_FIELD),
        (record(item_id=None), Defect.MISSING_FIELD),
        (record(item_id=""), Defect.MISSING_FIELD),
    ],
)
def test_what_is_wrong_with_an_event_is_named(value: bytes | None, defect: Defect) -> None:
    assert defect_of(value) == defect


@pytest.mark.parametrize("ts", ["1e400", str(10**30), "-" + "9" * 400, "1" * 5000])
def test_a_number_no_computer_holds_is_a_defect(ts: str) -> None:
    value = record().replace(str(NOW).encode(), ts.encode())
    assert defect_of(value) in {Defect.MALFORMED, Defect.WRONG_TYPE, Defect.BAD_TIME}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_malformed(number: str) -> None:
    value = record(type="order", amount=9).replace(b"9}", number.encode() + b"}")
    assert number.encode() in value
    assert defect_of(value) == Defect.MALFORMED


def test_lone_surrogates_in_an_id_or_query_never_reach_the_state() -> None:
    assert defect_of(record(user_id="u\ud800")) in {Defect.MALFORMED, Defect.BAD_ID}
    try:
        event = EventDecoder().decode(record(type="search", query="tea \udfff pot"), NOW)
    except DefectiveEventError as error:
        assert error.defect == Defect.MALFORMED  # noqa: PT017  # either way is right
    else:
        assert event.query is not None
        event.query.encode()


def test_the_edges_of_the_limits_are_good() -> None:
    decoder = EventDecoder()
    assert decoder.decode(record(ts=EARLIEST_TS), NOW).ts == EARLIEST_TS
    assert decoder.decode(record(ts=NOW + 600_000), NOW).ts == NOW + 600_000
    assert decoder.decode(record(user_id="u" * 128), NOW).user_id == "u" * 128
    assert decoder.decode(record(quantity=1_000_000, amount=0), NOW).quantity == 1_000_000
    assert EventDecoder(Limits(future_ms=0)).decode(record(ts=NOW), NOW).ts == NOW


def test_nulls_in_optional_fields_are_as_if_the_fields_were_not_there() -> None:
    nothing = dict.fromkeys(("query", "quantity", "amount", "scene", "session_id", "synthetic"))
    event = EventDecoder().decode(record(**nothing), NOW)
    assert (event.query, event.quantity, event.amount, event.scene) == (None, None, None, None)


def test_fields_nobody_knows_are_passed_over() -> None:
    assert EventDecoder().decode(record(colour="red", deep={"a": [1]}), NOW).item_id == "i1"


def test_unusable_optional_fields_are_dropped_and_counted_and_the_event_is_kept() -> None:
    decoder = EventDecoder()
    event = decoder.decode(
        record(type="search", query="tea", item_id="i\u0000", scene="s\u202e", session_id="s" * 200), NOW
    )
    assert (event.item_id, event.scene, event.session_id) == (None, None, None)
    assert decoder.fields_dropped == 3


def test_a_query_is_cleaned_of_controls_and_marks_that_reorder_text_and_cut() -> None:
    event = EventDecoder().decode(
        record(type="search", query="  green\u0000\ttea\u202e \u2028cups\n" + "x" * 900), NOW
    )
    assert event.query is not None
    assert event.query.startswith("green tea cups xxx")
    assert len(event.query) == 200


def test_fields_are_read_under_the_topics_own_names() -> None:
    decoder = EventDecoder(fields={"user_id": "uid", "ts": "when"})
    value = json.dumps({"event_id": "e", "uid": "u9", "type": "view", "when": NOW, "item_id": "i"}).encode()
    assert decoder.decode(value, NOW).user_id == "u9"
    assert defect_of(record(), decoder) == Defect.WRONG_TYPE


def test_a_topic_gives_its_events_the_type_they_do_not_say() -> None:
    decoder = EventDecoder(event_type="click")
    assert decoder.decode(without("type"), NOW).type == "click"
    assert decoder.decode(record(), NOW).type == "view"


def _valid(value: bytes) -> None:
    limits = Limits()
    try:
        event = EventDecoder(limits).decode(value, NOW)
    except DefectiveEventError:
        return
    assert event.type in EVENT_TYPES
    assert limits.earliest_ts <= event.ts <= NOW + limits.future_ms
    for name in (event.event_id, event.user_id):
        assert name.isprintable()
        assert name.strip()
        assert len(name) <= 128
        name.encode()
    for optional in (event.item_id, event.scene, event.session_id, event.query):
        if optional:
            assert optional.isprintable() or optional == event.query
            optional.encode()
    assert event.item_id or event.type in {"search", "image_search"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_valid_event_or_a_defect(value: bytes) -> None:
    _valid(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "event_id": st.text(max_size=140) | json_values,
            "user_id": st.text(max_size=140) | json_values,
            "type": st.sampled_from(sorted(EVENT_TYPES)) | json_values,
            "ts": st.integers(NOW - 10**6, NOW + 10**6) | json_values,
            "item_id": st.text() | json_values,
            "query": st.text() | json_values,
            "quantity": st.integers() | json_values,
            "amount": st.floats() | json_values,
            "scene": st.text() | json_values,
            "session_id": st.text() | json_values,
            "synthetic": json_values,
        },
    )
)
def test_any_json_in_the_shape_of_an_event_is_a_valid_event_or_a_defect(fields: dict[str, Any]) -> None:
    _valid(json.dumps(fields).encode())


@given(st.text(), st.integers(1, 50))
def test_clean_text_is_printable_folded_and_never_longer_than_asked(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    assert cleaned == " ".join(cleaned.split())
    assert not any(ch in cleaned for ch in "\x00\x1b\u202e\u2066\u200f\ufeff")
    assert clean_text(cleaned, limit) == cleaned
