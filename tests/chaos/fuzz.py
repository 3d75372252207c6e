"""``make chaos-fuzz``: a million hostile records through the decoder and the gate, in this process.

Records are real ones mutated (bits, bytes, cuts, splices, fields of other types, absurd values) and
random bytes. Nothing may be raised; every record must be accounted for; what is dead must be a record that can
be read again and says where it came from; what is not must leave a state that reads back as it was.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from stream.events import DefectiveEventError, EventDecoder
from stream.gate.gate import Arrival, Bounds, Gate, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.ruleset import load_rules
from stream.gate.state.activity import Activity
from stream.triggers import decode_trigger

from .driver import DENSE_RULES
from .shopping import load_shopping

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fuzz", "mutate"]

NOW = 1_800_000_000_000
_BATCH = 500
_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308, 5e-324,
    "", " ", "\x00", "\u202e", "\ud800", "\U0001f600", "a" * 127, "a" * 129, "x" * 5000, "é" * 70, "null", "{}",
    [], {}, [[]], {"a": {"b": [None]}}, "view", "order", "search", "levitate", NOW, NOW + 10**9, 946_684_800_000,
]  # fmt: skip
_FIELDS = (
    "event_id", "user_id", "type", "ts", "item_id", "query", "quantity", "amount", "scene", "session_id", "synthetic",
)  # fmt: skip


def mutate(event: dict[str, Any], other: dict[str, Any], rng: random.Random) -> bytes | None:
    """A record made of ``event``, more often than not a bad one."""
    dice = rng.random()
    if dice < 0.1:
        return rng.randbytes(rng.randrange(300))
    if dice < 0.45:
        changed = dict(event)
        for _ in range(rng.randint(1, 3)):
            changed[rng.choice(_FIELDS)] = rng.choice(_ODD)
        if rng.random() < 0.2:
            changed.pop(rng.choice(_FIELDS), None)
        return json.dumps(changed).encode()
    raw = bytearray(json.dumps(event).encode())
    if dice < 0.6:
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
    elif dice < 0.7:
        del raw[rng.randrange(len(raw)) :]
    elif dice < 0.8:
        place = rng.randrange(len(raw))
        raw[place:place] = json.dumps(other).encode()[rng.randrange(20) : rng.randrange(20, 120)]
    elif dice < 0.85:
        place = rng.randrange(len(raw))
        raw[place:place] = rng.choice(
            (b"[", b'{"a":', b'"', b"\\u", b"\xff\xfe", b"\xed\xa0\x80", b"1e999", b"NaN")
        )
    elif dice < 0.851:
        return rng.choice([None, b"", b"[" * 60_000, b'{"x":' * 12_000, b'"' * 70_000, b"\x00" * 65_536])
    return bytes(raw)


def _again(shopping: Sequence[dict[str, Any]], number: int) -> dict[str, Any]:
    """An endless year: what was played is played again, later and under other ids."""
    turn, place = divmod(number, len(shopping))
    event = shopping[place]
    span = shopping[-1]["ts"] - shopping[0]["ts"] + 1
    return {**event, "event_id": f"{event['event_id']}-{turn}", "ts": event["ts"] + turn * span}


def fuzz(shopping: Sequence[dict[str, Any]], count: int, seed: int = 0) -> Counter[str]:
    """Send ``count`` hostile records through decoder and gate; return what became of them.

    Raises:
        AssertionError: something is not as it must be.
        Exception: whatever decoder or gate let through.
    """
    rng = random.Random(seed)
    decoder = EventDecoder()
    gate = Gate(CompiledRules(load_rules(DENSE_RULES)), Bounds(86_400_000, 24, 53, 600))
    told: Counter[str] = Counter()
    partition = Partition(0)
    for first in range(0, count, _BATCH):
        batch = []
        for offset in range(first, min(first + _BATCH, count)):
            value = mutate(_again(shopping, offset), rng.choice(shopping), rng)
            event: Any
            try:
                event = decoder.decode(value, NOW)
            except DefectiveEventError as error:
                event = error
                told[f"dead: {error.defect}"] += 1
            batch.append(Arrival((offset, 0), "views", offset, event, value, NOW))
        outcome = gate.apply(partition, batch, NOW)
        counts = partition.counts
        assert counts.received == min(first + _BATCH, count)
        assert counts.balanced, counts
        assert len(outcome.dead) == sum(isinstance(a.event, Exception) for a in batch), (
            "the gate itself failed"
        )
        for _, record in outcome.dead:
            told["dead records read again"] += bool(json.loads(record)["reason"])
        for _, trigger in outcome.triggers:
            told["triggers read again"] += decode_trigger(trigger).seq > 0
        for user in partition.dirty:
            written = partition.users[user].encode()
            assert Activity.decode(written, user).encode() == written
        partition.dirty.clear()
    counts = partition.counts
    assert told["dead records read again"] == counts.dead
    assert told["triggers read again"] == counts.triggers
    told.update(applied=counts.applied, duplicate=counts.duplicate, late=counts.late, dead=counts.dead)
    return told


def main() -> int:
    """``python -m tests.chaos.fuzz``."""
    parser = argparse.ArgumentParser(description="Fuzz the decoder and the gate.")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shopping = load_shopping()
    began = time.perf_counter()
    told = fuzz(shopping, options.records, options.seed)
    for name, number in sorted(told.items()):
        sys.stdout.write(f"{name:28}{number:>12,}\n")
    sys.stdout.write(
        f"{options.records:,} records, {time.perf_counter() - began:.0f} s: no crash, all accounted for\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
