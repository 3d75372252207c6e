"""Dead records are counted by reason and topic, and the newest are kept."""

from __future__ import annotations

import msgspec

from stream.dead import DeadRecord, Origin, dead_record
from stream.dead.search import Dead
from stream.dead.summary import Summary


def died(at: int, offset: int, reason: str = "malformed", topic: str = "views") -> Dead:
    data = dead_record(b"x", Origin(topic, 0, offset), reason, "why", at)
    return Dead(0, offset, msgspec.json.decode(data, type=DeadRecord), data, None)


def test_the_newest_are_kept_by_time_of_death_and_all_are_counted() -> None:
    found = Summary(2)
    for dead in (died(30, 0), died(10, 1), died(30, 2, "bad_id"), died(20, 3, topic="clicks")):
        found.add(dead)
    assert [dead.offset for dead in found.newest] == [2, 0]
    assert found.counts == {("malformed", "views"): 2, ("bad_id", "views"): 1, ("malformed", "clicks"): 1}


def test_what_is_no_dead_record_is_counted_and_is_older_than_all_others() -> None:
    found = Summary(2)
    for dead in (Dead(1, 7, None, b"junk", None), died(10, 1), died(20, 2)):
        found.add(dead)
    assert [dead.offset for dead in found.newest] == [2, 1]
    assert found.counts["unreadable", ""] == 1


def test_of_none_that_are_wanted_none_is_kept() -> None:
    found = Summary(0)
    found.add(died(10, 1))
    assert found.newest == []
    assert found.counts.total() == 1
