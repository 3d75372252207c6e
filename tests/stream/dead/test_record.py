"""Dead records keep the original, whatever it was, and say where it came from."""

from __future__ import annotations

import base64

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.dead import MAX_PAYLOAD_BYTES, DeadRecord, Origin, dead_record

ORIGIN = Origin("views", 3, 99)


def dead(value: bytes | None, detail: str = "why") -> DeadRecord:
    return msgspec.json.decode(dead_record(value, ORIGIN, "malformed", detail, 7), type=DeadRecord)


def test_a_dead_record_says_what_where_when_and_why() -> None:
    record = dead(b'{"half": ')
    assert (record.reason, record.detail, record.at) == ("malformed", "why", 7)
    assert (record.topic, record.partition, record.offset) == ("views", 3, 99)
    assert (record.value, record.size, record.cut) == ('{"half": ', 9, False)


def test_a_record_without_a_value_is_told_from_its_size() -> None:
    assert (dead(None).value, dead(None).size) == ("", 0)


def test_a_long_original_is_cut_and_says_how_long_it_was() -> None:
    record = dead(b"x" * (MAX_PAYLOAD_BYTES + 1))
    assert record.cut
    assert record.size == MAX_PAYLOAD_BYTES + 1
    assert record.value == "x" * MAX_PAYLOAD_BYTES


def test_a_detail_is_cut() -> None:
    assert len(dead(b"x", "y" * 10_000).detail) == 500


@given(st.binary(max_size=300))
def test_the_original_comes_back_byte_by_byte(value: bytes) -> None:
    record = dead(value)
    if record.value is not None:
        assert record.value.encode() == value
    else:
        assert record.value_base64 is not None
        assert base64.b64decode(record.value_base64) == value


def test_the_largest_dead_record_of_any_bytes_fits_on_the_topic() -> None:
    for worst in (b"\x01", b"\xff", b'"', b"\\"):
        assert len(dead_record(worst * 2_000_000, ORIGIN, "too_large", "\x01" * 600, 7)) < 1_000_000
