"""Judges a history: reads nothing else, and shares no code with the gate.

A partition's records are put into the documented order (``stream/gate/merge.py``): by the time they
were sent, then event time, then topic and offset, where the first two never fall along a topic. They are
applied by :mod:`tests.chaos.model`, and what the gate left is held against what comes of it.

Where a shopper's neighbouring events lie on different topics and carry the same millisecond, the documented
order does not follow from when they were sent; the driver avoids that and the checker counts what is
left of it (``ties``). How often the order of two topics mattered at all is counted too (``crossings``).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .history import as_bytes, read_history
from .judged import Dead, Event, Limits, judge
from .model import Book, Generation, Shopper, condition_times, observe

__all__ = ["Verdict", "check"]

_SHOWN = 5
_RECENT = ["", "", 0, "", "", "", 0, 0]


@dataclass
class Verdict:
    """What the checker found.

    Attributes:
        faults: kind to descriptions of what is wrong; empty if nothing is.
        figures: what was counted along the way.
    """

    faults: dict[str, list[str]] = field(default_factory=dict)
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def blame(self, kind: str, what: str) -> None:
        """Note a fault."""
        self.faults.setdefault(kind, []).append(what)

    def summary(self) -> dict[str, Any]:
        """Counts of faults with the first few in words, and the figures."""
        return {
            "good": self.good,
            "faults": {kind: len(found) for kind, found in sorted(self.faults.items())},
            "examples": {kind: found[:_SHOWN] for kind, found in sorted(self.faults.items())},
            "figures": dict(sorted(self.figures.items())),
        }


@dataclass
class _Story:
    """A history, sorted by kind."""

    meta: dict[str, Any] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return self.lines.get(kind, [])


def check(path: Path) -> Verdict:
    """The verdict on the history in ``path``."""
    story = _Story()
    for line in read_history(path):
        if line["kind"] == "meta":
            story.meta = line
        elif line["kind"] == "rules":
            story.rules.append(line)
        else:
            story.lines.setdefault(line["kind"], []).append(line)
    verdict = Verdict()
    _check_run(story, verdict)
    _check_sent(story, verdict)
    expected = _Expected(story, verdict)
    _check_triggers(story, expected, verdict)
    _check_dead(story, expected, verdict)
    _check_states(story, expected, verdict)
    _check_accounting(story, expected, verdict)
    return verdict


def _check_run(story: _Story, verdict: Verdict) -> None:
    """The workers came to the end, and none ended for a reason of its own."""
    for fault in story.of("fault"):
        verdict.figures["kills"] += fault["kills"]
        verdict.figures["fault:" + fault["what"]] += 1
    for entry in story.of("exit"):
        # -SIGTERM: asked to end before it had begun to listen to signals, and so before it read anything.
        if entry["wanted"] and entry["code"] in {0, -signal.SIGTERM}:
            continue
        away = entry["code"] == 2 and (" answers at " in entry["said"])
        if away and not entry["wanted"]:  # started while a server was away: one clear line, and 2
            verdict.figures["refused to start"] += 1
        else:
            verdict.blame("exit", f"{entry['worker']} ended with {entry['code']}: {entry['said'][-300:]}")
    for entry in story.of("end"):
        verdict.figures["seconds"] += round(entry["at"])
        if entry["stuck"]:
            verdict.blame("stuck", entry["stuck"])


def _canonical(value: bytes | None) -> Any:
    try:
        return json.dumps(json.loads(value or b""), sort_keys=True)
    except (ValueError, RecursionError):
        return value


def _check_sent(story: _Story, verdict: Verdict) -> None:
    """What the broker has acknowledged is on its topics."""
    there = Counter(_canonical(as_bytes(record["value"])) for record in story.of("record"))
    for wave in story.of("sent"):
        for event in wave["events"]:
            value = as_bytes(event) if isinstance(event, str) else json.dumps(event).encode()
            key = _canonical(value)
            there[key] -= 1
            verdict.figures["sent"] += 1
            if there[key] < 0:
                verdict.blame("sent but not on the topic", str(event)[:200])
    verdict.figures["sent twice by the player"] += sum(count for count in there.values() if count > 0)


class _Rules:
    """What a partition's records are under: the rules of the file, and those of each boundary that follows."""

    def __init__(self, story: _Story, number: int) -> None:
        books = {line["version"]: Book(line["text"]) for line in story.rules}
        self._generations = [Generation.after(None, 0, 0, books[0])]
        self._offsets: list[dict[str, int]] = [{}]
        boundaries = [line for line in story.of("boundary") if line["partition"] == number]
        for line in sorted(boundaries, key=lambda line: line["generation"]):
            version = line["version"]
            if line["generation"] == 0:
                self._generations = [Generation.after(None, 0, version, books[version])]
                continue
            before = self._generations[-1]
            self._generations.append(Generation.after(before, line["generation"], version, books[version]))
            self._offsets.append(line["offsets"])

    @property
    def first(self) -> Generation:
        """What the partition began under."""
        return self._generations[0]

    def over(self, topic: str, offset: int) -> Generation:
        """The latest whose boundary the record does not lie before."""
        return next(
            generation
            for generation, offsets in reversed(list(zip(self._generations, self._offsets, strict=True)))
            if offset >= offsets.get(topic, 0)
        )


class _Expected:
    """What must have come of the records."""

    def __init__(self, story: _Story, verdict: Verdict) -> None:
        meta = story.meta
        self.limits = Limits(**meta["limits"])
        self.topics: dict[str, str | None] = meta["topics"]
        self.triggers: dict[str, dict[str, Any]] = {}
        self.dead: dict[tuple[str, int, int], str] = {}
        self.shoppers: dict[tuple[int, str], Shopper] = {}
        self.counts: dict[int, Counter[str]] = {}
        self.ends: dict[int, dict[str, int]] = {}
        for number, records in _in_order(story, self.topics, self.limits).items():
            self._partition(number, records, _Rules(story, number), verdict)

    def _partition(self, number: int, records: list[Any], rules: _Rules, verdict: Verdict) -> None:
        counts = self.counts[number] = Counter()
        last: dict[str, tuple[int, str]] = {}
        for record, said in records:
            topic, offset = record["topic"], record["offset"]
            self.ends.setdefault(number, {})[topic] = offset + 1
            counts["received"] += 1
            if isinstance(said, Dead):
                counts["dead"] += 1
                self.dead[topic, number, offset] = said.reason
                continue
            before = last.get(said.user)
            if before and before[1] != topic:
                verdict.figures["crossings"] += 1
                verdict.figures["ties"] += before[0] == record["timestamp"]
            last[said.user] = record["timestamp"], topic
            shopper = self.shoppers.setdefault((number, said.user), Shopper(said.user, rules.first))
            fate = shopper.fate(said, self.limits)
            counts[fate] += 1
            if fate != "applied":
                continue
            under = rules.over(topic, offset)
            verdict.figures["events under changed rules"] += under.number > 0
            for trigger in observe(shopper, said, under, self.limits, record["timestamp"]):
                counts["triggers"] += 1
                self.triggers[trigger["id"]] = trigger
        verdict.figures.update(
            {f"records {name}": counts[name] for name in ("received", "applied", "duplicate", "late", "dead")}
        )


def _in_order(story: _Story, topics: dict[str, str | None], limits: Limits) -> dict[int, list[Any]]:
    """Per partition its records with what they say, in the documented order."""
    ranks = {topic: rank for rank, topic in enumerate(topics)}
    keys: dict[tuple[str, int], tuple[int, int]] = {}
    entries: dict[int, list[Any]] = {}
    for record in sorted(story.of("record"), key=lambda r: (r["partition"], ranks[r["topic"]], r["offset"])):
        topic, number, sent_at = record["topic"], record["partition"], record["timestamp"]
        said = judge(as_bytes(record["value"]), sent_at, topics[topic], limits)
        ts = said.ts if isinstance(said, Event) else 0
        before = keys.get((topic, number), (-1, -1))
        key = (sent_at, ts) if sent_at > before[0] else (before[0], max(before[1], ts))
        keys[topic, number] = key
        entries.setdefault(number, []).append((key, ranks[topic], record["offset"], (record, said)))
    return {
        number: [entry[3] for entry in sorted(found, key=lambda e: e[:3])]
        for number, found in entries.items()
    }


def _full(recent: list[list[Any]]) -> list[list[Any]]:
    """Recent events with the defaults that the end of an array may leave out."""
    return [[*entry, *_RECENT[len(entry) :]] for entry in recent]


def _check_triggers(story: _Story, expected: _Expected, verdict: Verdict) -> None:
    """Each that must fire did, none else, always with the same contents, in sequence without a gap."""
    found: dict[str, dict[str, Any]] = {}
    for line in story.of("trigger"):
        trigger = json.loads(line["value"])
        del trigger["made_at"]  # when it was published is the one thing that may differ
        trigger["recent"] = _full(trigger["recent"])
        # NUMBER:DIGEST, or the digest alone where the rules are those of the file
        trigger["rules"] = int(trigger["rules"].partition(":")[0]) if ":" in trigger["rules"] else 0
        first = found.setdefault(trigger["id"], trigger)
        verdict.figures["trigger records"] += 1
        if first != trigger:
            verdict.blame(
                "trigger with two contents",
                f"{trigger['id']} of {trigger['user']}: {_difference(first, trigger)}",
            )
    verdict.figures["triggers"] = len(found)
    for key, must in expected.triggers.items():
        if key not in found:
            verdict.blame(
                "trigger lost",
                f"{must['rule']} of shopper {must['user']}, seq {must['seq']}, at {must['event_id']}",
            )
    for key, trigger in found.items():
        wanted = expected.triggers.get(key)
        if wanted is None:
            verdict.blame(
                "trigger that must not be",
                f"{trigger['rule']} of shopper {trigger['user']}, seq {trigger['seq']}",
            )
            continue
        same = {name: value for name, value in trigger.items() if name in wanted}
        if same != wanted:
            verdict.blame(
                "trigger with wrong contents", f"{key} of {trigger['user']}: {_difference(same, wanted)}"
            )
    by_user: dict[str, list[int]] = {}
    for trigger in found.values():
        by_user.setdefault(trigger["user"], []).append(trigger["seq"])
    for user, seqs in by_user.items():
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            verdict.blame(
                "effects not once each", f"shopper {user}: the sequence of triggers is {sorted(seqs)[:40]}"
            )


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    return "; ".join(
        f"{name}: {str(one.get(name))[:120]} / {str(other.get(name))[:120]}" for name in sorted(names)
    )


def _check_dead(story: _Story, expected: _Expected, verdict: Verdict) -> None:
    """Each defective record is on the dead topic with its reason, and nothing else is."""
    found: dict[tuple[str, int, int], str] = {}
    for line in story.of("dead"):
        record = json.loads(line["value"])
        found[record["topic"], record["partition"], record["offset"]] = record["reason"]
    for place, reason in expected.dead.items():
        # What is no JSON may have given itself away by its first character: that is no object's.
        reasons = {reason, "wrong_type"} if reason == "malformed" else {reason}
        if found.get(place) not in reasons:
            verdict.blame("dead event lost", f"{place}: expected {reason}, found {found.get(place)}")
    for place in found.keys() - expected.dead.keys():
        verdict.blame("dead event that must not be", f"{place}: {found[place]}")


def _check_states(story: _Story, expected: _Expected, verdict: Verdict) -> None:
    """Every shopper's activity in Redis means what it must."""
    found = {(line["partition"], line["user"]): json.loads(line["value"]) for line in story.of("state")}
    wanted = {key: shopper for key, shopper in expected.shoppers.items() if shopper.recent}
    for key in wanted.keys() - found.keys():
        verdict.blame("activity missing", f"shopper {key[1]} of partition {key[0]}")
    for key in found.keys() - wanted.keys():
        verdict.blame("activity that must not be", f"shopper {key[1]} of partition {key[0]}")
    for key in wanted.keys() & found.keys():
        verdict.figures["activities compared"] += 1
        must = _activity(wanted[key], expected)
        has = _decoded(found[key], wanted[key], expected.limits.ledger_weeks)
        if must != has:
            verdict.blame("activity wrong", f"shopper {key[1]}: {_difference(has, must)}")


def _activity(shopper: Shopper, expected: _Expected) -> dict[str, Any]:
    return {
        "seq": shopper.seq,
        "last_ts": shopper.last_ts,
        "last_fired": shopper.last_fired,
        "fired": {rule: list(value) for rule, value in shopper.fired.items()},
        "counts": condition_times(shopper),
        "ledger": shopper.ledger(expected.limits.ledger_weeks),
        "recent": [event.recent() for event in shopper.recent],
        "generation": shopper.under.number,
    }


def _decoded(state: list[Any], shopper: Shopper, weeks: int) -> dict[str, Any]:
    """The documented array of a state, version 2: ``stream/gate/state/activity.py``."""
    version, seq, last_ts, last_fired, generation, _ends, _in_minute, fired, counts, ledger, recent = state
    if version != 2:
        return {"version": version}
    windows = {(c.name[0], c.name[2]): c.within for c in shopper.under.book.conditions()}
    named = {}
    for key, times in counts.items():
        condition, _, group = key.partition("|")
        rule, _, number = condition.rsplit(".", 2)
        # What has left its window may still be written there; it decides nothing.
        live = [ts for ts in times if ts >= last_ts - windows.get((rule, int(number)), -1)]
        if live:
            named[rule, int(number), group] = live
    return {
        "seq": seq,
        "last_ts": last_ts,
        "last_fired": last_fired,
        "fired": fired,
        "counts": named,
        "ledger": [entry for entry in ledger if entry[0] >= (last_ts // 86_400_000 + 3) // 7 - weeks],
        "recent": _full(recent),
        "generation": generation,
    }


def _check_accounting(story: _Story, expected: _Expected, verdict: Verdict) -> None:
    """``received = applied + duplicate + late + dead``, and each as counted here; offsets at the end."""
    found = {line["partition"]: json.loads(line["value"]) for line in story.of("offsets")}
    for number, counts in expected.counts.items():
        if number not in found:
            verdict.blame("accounting", f"partition {number} has none")
            continue
        has = found[number]["counts"]
        if has["received"] != has["applied"] + has["duplicate"] + has["late"] + has["dead"]:
            verdict.blame("accounting", f"partition {number} does not balance: {has}")
        for name in ("received", "applied", "duplicate", "late", "dead", "triggers"):
            if has[name] != counts[name]:
                verdict.blame(
                    "accounting", f"partition {number}, {name}: {has[name]}, must be {counts[name]}"
                )
        for topic, end in expected.ends[number].items():
            if found[number]["offsets"].get(topic) != end:
                verdict.blame(
                    "accounting",
                    f"{topic}-{number} stands at {found[number]['offsets'].get(topic)}, its end is {end}",
                )
    for number in found.keys() - expected.counts.keys():
        if found[number]["counts"]["received"]:
            verdict.blame("accounting", f"partition {number} has received something, and nothing was sent")


def main() -> int:
    """``python -m tests.chaos.checker FILE``: the verdict as JSON; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description="Judge a history.")
    parser.add_argument("history", type=Path)
    verdict = check(parser.parse_args().history)
    sys.stdout.write(json.dumps(verdict.summary(), indent=2) + "\n")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
