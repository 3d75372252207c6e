"""The checker: a true history passes, and every way in which it can be untrue is named."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from .checker import check
from .history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = """
version: 1
rules:
  - {id: two-views, when: {types: [view], count: 2, within: 30m}, cooldown: 10m}
"""
START = 1_700_000_000_000
MINUTE = 60_000
LIMITS = {
    "lateness_ms": 86_400_000, "recent_events": 24, "ledger_weeks": 53, "max_event_bytes": 65_536, "future_ms": 600_000,
}  # fmt: skip


def record(topic: str, offset: int, sent_at: int, value: Any) -> dict[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value)
    return {
        "kind": "record", "topic": topic, "partition": 0, "offset": offset, "timestamp": sent_at, "value": text,
    }  # fmt: skip


def event(number: int, kind: str, minute: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "user_id": "u",
        "type": kind,
        "ts": START + minute * MINUTE,
        "item_id": "i",
    }


def true_history() -> list[dict[str, Any]]:
    """Two views, an order, the first view once more, a late view, and a record that is none."""
    order = {**event(2, "order", 1), "amount": 2.5, "quantity": 2}
    late = {**event(3, "view", 0), "ts": START - 2 * 86_400_000}
    records = [
        record("views", 0, START + 10, event(0, "view", 0)),
        record("orders", 0, START + 20, order),
        record("views", 1, START + 30, event(1, "view", 2)),
        record("views", 2, START + 40, event(0, "view", 0)),
        record("views", 3, START + 50, late),
        record("views", 4, START + 60, "nonsense"),
    ]
    week = (START // 86_400_000 + 3) // 7
    recent = [
        ["e0", "view", START, "i"],
        ["e2", "order", START + MINUTE, "i", "", "", 2, 250],
        ["e1", "view", START + 2 * MINUTE, "i"],
    ]
    trigger = {
        "id": "c3db5222d40781865806", "rule": "two-views", "rules": "abc", "user": "u", "seq": 1, "event_id": "e1",
        "ts": START + 2 * MINUTE, "sent_at": START + 30, "made_at": 5,
        "recent": copy.deepcopy(recent), "ledger": [[week, "", 250, 2, 1]],
    }  # fmt: skip
    state = [
        2, 1, START + 2 * MINUTE, START + 2 * MINUTE, 0, START + 3 * MINUTE, 1,
        {"two-views": [1, START + 2 * MINUTE]}, {}, [[week, "", 250, 2, 1]], recent,
    ]  # fmt: skip
    counts = {
        "received": 6, "applied": 3, "duplicate": 1, "late": 1, "dead": 1, "triggers": 1, "fields_dropped": 0,
    }  # fmt: skip
    dead = {"reason": "malformed", "topic": "views", "partition": 0, "offset": 4}
    return [
        {"kind": "meta", "seed": 0, "limits": LIMITS, "topics": {"views": "view", "orders": "order"}},
        {"kind": "rules", "version": 0, "text": RULES},
        {"kind": "sent", "events": [json.loads(r["value"]) for r in records[:5]] + ["nonsense"]},
        {"kind": "end", "at": 9.0, "stuck": ""},
        *records,
        {"kind": "trigger", "value": trigger},
        {"kind": "dead", "value": dead},
        {"kind": "state", "partition": 0, "user": "u", "value": state},
        {
            "kind": "offsets",
            "partition": 0,
            "value": {"offsets": {"views": 5, "orders": 1}, "counts": counts},
        },
    ]


def verdict_on(lines: list[dict[str, Any]], folder: Path) -> set[str]:
    path = folder / "history.jsonl.gz"
    with History(path) as history:
        for line in lines:
            fields = {key: value for key, value in line.items() if key != "kind"}
            if "value" in fields and not isinstance(fields["value"], str):
                fields["value"] = json.dumps(fields["value"])
            history.write(line["kind"], **fields)
    return set(check(path).faults)


def only(lines: list[dict[str, Any]], kind: str) -> Any:
    return next(line for line in lines if line["kind"] == kind)


def without(kind: str) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: lines.remove(only(lines, kind))


def altered(kind: str, *path: Any, to: Any) -> Callable[[list[dict[str, Any]]], None]:
    def alter(lines: list[dict[str, Any]]) -> None:
        place = only(lines, kind)["value"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return alter


def again(kind: str, **changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    def repeat(lines: list[dict[str, Any]]) -> None:
        line = copy.deepcopy(only(lines, kind))
        line["value"].update(changes)
        lines.append(line)

    return repeat


def test_a_true_history_passes(tmp_path: Path) -> None:
    assert verdict_on(true_history(), tmp_path) == set()


def test_a_trigger_published_again_is_no_fault(tmp_path: Path) -> None:
    lines = true_history()
    again("trigger", made_at=99)(lines)
    assert verdict_on(lines, tmp_path) == set()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without("trigger"), {"trigger lost"}),
        (without("dead"), {"dead event lost"}),
        (without("state"), {"activity missing"}),
        (without("offsets"), {"accounting"}),
        (again("trigger", event_id="e0"), {"trigger with two contents"}),
        (again("trigger", id="other"), {"trigger that must not be", "effects not once each"}),
        (again("trigger", id="other", seq=3), {"trigger that must not be", "effects not once each"}),
        (altered("trigger", "ts", to=START), {"trigger with wrong contents"}),
        (altered("trigger", "recent", 1, 7, to=251), {"trigger with wrong contents"}),
        (altered("trigger", "ledger", 0, 2, to=500), {"trigger with wrong contents"}),
        (altered("dead", "reason", to="empty"), {"dead event lost"}),
        (again("dead", offset=0), {"dead event that must not be"}),
        (altered("state", 1, to=2), {"activity wrong"}),
        (altered("state", 8, to={"two-views.abc.0": [START]}), {"activity wrong"}),
        (altered("state", 9, 0, 4, to=2), {"activity wrong"}),
        (altered("state", 10, 0, 0, to="e9"), {"activity wrong"}),
        (altered("offsets", "counts", "applied", to=4), {"accounting"}),
        (altered("offsets", "counts", "triggers", to=2), {"accounting"}),
        (altered("offsets", "offsets", "views", to=4), {"accounting"}),
        (
            lambda lines: only(lines, "sent")["events"].append(event(9, "view", 9)),
            {"sent but not on the topic"},
        ),
        (lambda lines: only(lines, "end").update(stuck="not at the end"), {"stuck"}),
        (
            lambda lines: lines.append(
                {"kind": "exit", "worker": "w", "wanted": False, "code": 1, "said": "Traceback", "at": 1.0}
            ),
            {"exit"},
        ),
    ],
)
def test_what_is_untrue_is_named(
    damage: Callable[[list[dict[str, Any]]], None], told: set[str], tmp_path: Path
) -> None:
    lines = true_history()
    damage(lines)
    assert verdict_on(lines, tmp_path) == told


def under_rules_from(offset: int, text: str) -> list[dict[str, Any]]:
    lines = true_history()
    lines.insert(2, {"kind": "rules", "version": 1, "text": text})
    offsets = {"views": offset, "orders": 1}
    lines.append({"kind": "boundary", "partition": 0, "generation": 1, "version": 1, "offsets": offsets})
    return lines


def test_rules_apply_from_their_boundary_on(tmp_path: Path) -> None:
    never = RULES.replace("count: 2", "count: 9")
    assert verdict_on(under_rules_from(2, never), tmp_path) == set()
    assert "trigger that must not be" in verdict_on(under_rules_from(1, never), tmp_path)


def test_new_rules_count_recent_events_and_triggers_say_what_they_came_from(tmp_path: Path) -> None:
    lines = under_rules_from(1, RULES.replace("30m", "20m"))
    assert verdict_on(lines, tmp_path) == {"trigger with wrong contents", "activity wrong"}
    altered("trigger", "rules", to="1:abc")(lines)
    only(lines, "state")["value"][4] = 1
    assert verdict_on(lines, tmp_path) == set()
