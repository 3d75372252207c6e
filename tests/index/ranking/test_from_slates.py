from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from index.errors import CatalogDamagedError, CatalogError, CatalogSourceError
from index.ranking.from_slates import HORIZON_MS, join_events, learn_live
from index.ranking.live import LIVE_FEATURES
from index.ranking.live_ranker import LiveRanker

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000


def record(user: str, version: int, made_at: int, items: str, **other: Any) -> dict[str, Any]:
    candidates = [
        {"item": item, "features": [float(at), *[None] * (len(LIVE_FEATURES) - 1)]}
        for at, item in enumerate(items)
    ]
    return {
        "user": user,
        "version": version,
        "made_at": made_at,
        "outcome": "served",
        "features": list(LIVE_FEATURES),
        "candidates": candidates,
        **other,
    }


def event(user: str, kind: str, ts: int, item: str) -> dict[str, Any]:
    return {"user_id": user, "type": kind, "ts": ts, "item_id": item}


def test_the_strongest_response_after_a_slate_is_its_label() -> None:
    events = [
        event("ann", "order", HOUR + 3, "b"),
        event("ann", "click", HOUR + 1, "b"),
        event("ann", "cart", HOUR + 2, "c"),
        event("ann", "click", HOUR - 1, "a"),  # before the slate
        event("ann", "order", HOUR + 1 + HORIZON_MS, "a"),  # too long after it
        event("bob", "order", HOUR + 1, "a"),
        event("ann", "order", HOUR + 1, "z"),  # was not shown
        {"type": "search", "user_id": "ann", "ts": HOUR + 1, "query": "b"},
    ]
    (group,) = join_events([record("ann", 1, HOUR, "abc")], events).groups
    assert group.labels.tolist() == [0, 3, 2]
    assert group.features[:, 0].tolist() == [0, 1, 2]
    assert np.isnan(group.features[:, 1:]).all()


def test_a_response_belongs_to_the_latest_slate_that_showed_the_item() -> None:
    slates = [record("ann", 2, 5 * HOUR, "bc"), record("ann", 1, HOUR, "ab"), record("ann", 3, 9 * HOUR, "d")]
    events = [event("ann", "click", 10 * HOUR, "b"), event("ann", "click", 6 * HOUR, "a")]
    joined = join_events(slates, events)
    assert [(one.made_at, one.labels.tolist()) for one in joined.groups] == [
        (HOUR, [1, 0]),
        (5 * HOUR, [1, 0]),
    ]
    assert joined.counts["without a response"] == 1
    assert joined.counts["responses of 1"] == 2


def test_what_is_no_usable_slate_is_counted_by_reason() -> None:
    good = record("ann", 1, HOUR, "ab")
    slates = [
        good,
        good,
        record("ann", 2, HOUR, "a", outcome="superseded"),
        record("ann", 3, HOUR, "a", features=["dense"]),
        {key: value for key, value in record("ann", 4, HOUR, "a").items() if key != "made_at"},
        record("ann", 5, HOUR, ""),
        {**record("ann", 6, HOUR, "a"), "candidates": [{"item": "a", "features": [1.0]}]},
    ]
    counts = join_events(slates, []).counts
    assert counts == {
        "slates": 7,
        "recorded twice": 1,
        "not served": 1,
        "recorded with other features": 1,
        "incomplete": 2,
        "not ranked": 1,
        "without a response": 1,
    }
    with pytest.raises(CatalogSourceError, match="None of 1 records"):
        join_events(slates[2:3], [])


def many(count: int) -> list[Any]:
    """Slates whose shoppers take the item with the largest behaviour value, shown in any place."""
    random = np.random.default_rng(1)
    at = LIVE_FEATURES.index("behaviour")
    slates, events = [], []
    for n in range(count):
        features = random.random((20, len(LIVE_FEATURES)))
        one = record(f"u{n}", 1, n * HOUR, "")
        one["candidates"] = [
            {"item": f"i{place}", "features": row.tolist()} for place, row in enumerate(features)
        ]
        slates.append(one)
        events.append(event(f"u{n}", "order", n * HOUR + 1, f"i{int(features[:, at].argmax())}"))
    return [slates, events]


def test_a_ranker_learns_what_was_taken_and_reads_the_same_from_its_file(tmp_path: Path) -> None:
    ranker = learn_live(join_events(*many(200)))
    held = ranker.manifest["held_out"]
    assert held["slates"] == 40
    assert held["learnt NDCG@10"] > held["shown NDCG@10"] + 0.2
    assert next(iter(ranker.manifest["importance"])) == "behaviour"
    path = tmp_path / "deep" / "ranker-live.json"
    ranker.save(path)
    again = LiveRanker.load(path)
    assert again.manifest == ranker.manifest
    features = np.random.default_rng(2).random((30, len(LIVE_FEATURES))).astype(np.float32)
    scores = again.score(features)
    np.testing.assert_array_equal(scores, ranker.score(features))
    assert (scores.min(), scores.max()) == (0.0, 1.0)
    assert len(again.score(features[:0])) == 0


def test_too_few_responses_and_files_that_hold_no_ranker_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="Only 10 slates"):
        learn_live(join_events(*many(10)))
    path = tmp_path / "ranker-live.json"
    with pytest.raises(CatalogDamagedError, match="no readable ranker"):
        LiveRanker.load(path)
    learn_live(join_events(*many(60))).save(path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    with pytest.raises(CatalogDamagedError, match="no readable ranker"):
        LiveRanker.load(path)
    path.write_text(whole.replace('"dense_place"', '"other"'), encoding="utf-8")
    with pytest.raises(CatalogDamagedError, match="other features"):
        LiveRanker.load(path)
