"""Triggers: ids that say which firing, and records that read back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.gate.state.ledger import LedgerEntry
from stream.gate.state.recent import Recent
from stream.triggers import TriggerHead, decode_trigger, encode_trigger, trigger_id

HEAD: dict[str, Any] = {
    "id": "abc", "rule": "r", "rules": "v", "user": 'u"1\\', "seq": 3, "event_id": "e", "ts": 5, "sent_at": 6, "made_at": 7,
}  # fmt: skip


def test_a_trigger_reads_back_with_its_snapshot() -> None:
    value = encode_trigger(HEAD, b'[["e","view",5,"i"]]', b'[[2810,"tea",100,1,1]]')
    trigger = decode_trigger(value)
    assert {name: getattr(trigger, name) for name in HEAD} == HEAD
    assert trigger.recent == [Recent("e", "view", 5, "i")]
    assert trigger.ledger == [LedgerEntry(2810, "tea", 100, 1, 1)]
    assert msgspec.json.decode(value, type=TriggerHead).seq == 3


def test_an_id_is_the_same_for_the_same_firing_and_no_other() -> None:
    assert trigger_id("u", "r", 1) == trigger_id("u", "r", 1)
    others = {
        trigger_id(*firing)
        for firing in [("u", "r", 1), ("u", "r", 2), ("u", "s", 1), ("v", "r", 1), ("ur", "", 1)]
    }
    assert len(others) == 5


@given(st.text(min_size=1).filter(str.isprintable), st.integers(1, 10**9))
def test_an_id_is_short_hexadecimal_whoever_it_is_about(user: str, ordinal: int) -> None:
    found = trigger_id(user, "rule", ordinal)
    assert len(found) == 20
    int(found, 16)


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[]", b"\xff", b'{"id": 1}', encode_trigger(HEAD, b"[]", b"[]")[:-1]]
)
def test_what_is_no_trigger_is_told(value: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_trigger(value)
