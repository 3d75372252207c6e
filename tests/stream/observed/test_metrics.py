"""What a running pipeline tells of itself in numbers: metrics, heartbeat, minutes, and the dashboard over them."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import redis

from stream.contracts import schema_of
from stream.metrics.described import METRICS
from stream.metrics.heartbeat import TTL_S, heartbeat_key
from tests.deploy.monitoring import expressions, prometheus_of, samples
from tests.stream.observed.pipeline import SENT, SHOPPERS, Running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_metrics_account_for_every_event_by_partition(running: Running) -> None:
    samples = running.samples()
    for number in ("0", "1"):
        mine = {
            (name, has - {("partition", number)}): value
            for (name, has), value in samples.items()
            if ("partition", number) in has
        }
        received = mine["nearline_events_received_total", frozenset()]
        outcomes = {
            dict(has)["outcome"]: value
            for (name, has), value in mine.items()
            if name == "nearline_events_total"
        }
        assert received == sum(outcomes.values()) > 0
        assert mine["nearline_accounting_holds", frozenset()] == 1
    assert running.total("nearline_events_received_total") == SENT
    assert running.total("nearline_events_total", outcome="duplicate") == 1
    assert running.total("nearline_events_total", outcome="late") == 1
    assert running.total("nearline_events_total", outcome="dead") == 2
    reasons = {
        dict(has)["reason"]: n for (name, has), n in samples.items() if name == "nearline_dead_events_total"
    }
    assert reasons == {"malformed": 1, "unknown_type": 1}
    assert running.total("nearline_cloud_events_total") == 1
    assert running.total("nearline_users_in_memory") >= len(SHOPPERS)
    assert running.total("nearline_checkpoint_bytes_total") > 0


def test_every_slate_is_counted_by_rung_and_timed_by_stage(running: Running) -> None:
    slates = running.total("nearline_slates_total")
    served = running.total("nearline_triggers_served_total", outcome="served")
    assert slates == served >= len(SHOPPERS)
    assert running.total("nearline_slates_total", rung="llm") == 0
    assert running.total("nearline_event_to_trigger_seconds_count") == running.total(
        "nearline_triggers_total"
    )
    assert running.total("nearline_event_to_slate_seconds_count") == slates
    for stage in ("queue", "profile", "encode", "search", "rank", "recall", "write", "total"):
        assert running.total("nearline_stage_seconds_count", stage=stage) == slates, stage
    places = running.total("nearline_slate_places_total")
    assert places > 0
    assert running.total("nearline_slate_discovery_places_total", kind="unseen_category") <= places
    assert running.total("nearline_breaker_state") == 1
    assert running.total("nearline_items") == 40


def test_the_page_has_every_metric_that_is_described_and_no_other(running: Running) -> None:
    shown = {
        line.split()[2]
        for line in running.page("/metrics").splitlines()
        if line.startswith("# TYPE") and not line.split()[2].endswith("_created")
    }
    assert shown == {metric.name for metric in METRICS}


def test_the_heartbeat_has_all_samples_of_the_page(running: Running) -> None:
    with redis.Redis.from_url(running.redis_url) as store:
        keys = list(store.scan_iter(heartbeat_key(running.prefix, "*")))
        assert len(keys) == 1
        assert 0 < store.ttl(keys[0]) <= TTL_S
        served = 'nearline_triggers_served_total{outcome="served"}'

        def beats() -> Any:
            return json.loads(store.get(keys[0]) or b"{}")

        running.until(
            "it has what was served", lambda: beats()["metrics"].get(served, 0) >= len(SHOPPERS), 30
        )
        beat = beats()
    jsonschema.Draft202012Validator(schema_of("heartbeat")).validate(beat)
    assert beat["roles"] == ["gate", "infer"]
    assert (
        json.loads(urllib.request.urlopen(beat["url"] + "/health/live", timeout=5).read())["status"] == "live"
    )
    assert set(beat["versions"]) == {"nearline", "rules", "index", "model", "prompt"}
    assert beat["versions"]["model"] == "nobody"
    values = beat["metrics"]
    assert (
        0
        <= values["nearline_event_to_trigger_seconds_p50"]
        <= values["nearline_event_to_trigger_seconds_p99"]
    )
    scraped = {name.removesuffix("_bucket") for name, _ in running.samples()}
    bare = {key.partition("{")[0] for key in values}
    assert scraped - bare == {m.name for m in METRICS if m.kind == "histogram"}


def test_the_minutes_have_what_was_counted(running: Running) -> None:
    def minutes() -> dict[str, dict[str, int]]:
        sums: dict[str, dict[str, int]] = {}
        with redis.Redis.from_url(running.redis_url) as store:
            for key in store.scan_iter(f"{running.prefix}minute:*"):
                for value in store.hgetall(key).values():
                    schema.validate(json.loads(value))
                    for part, counts in json.loads(value).items():
                        into = sums.setdefault(part, {})
                        for name, count in counts.items():
                            into[name] = into.get(name, 0) + count
        return sums

    schema = jsonschema.Draft202012Validator(schema_of("minute"))
    slates = int(running.total("nearline_slates_total"))
    running.until(
        "the last of it is written", lambda: sum(minutes().get("slates", {}).values()) == slates, 30
    )
    found = minutes()
    assert found["events"]["received"] == SENT
    assert found["events"]["dead"] == 2
    assert sum(found["triggers"].values()) == running.total("nearline_triggers_total")
    assert sum(found["channels"].values()) == running.total("nearline_slate_places_total")
    assert sum(found["categories"].values()) == sum(found["channels"].values())
    assert set(found["categories"]) <= {"Milk 0", "Milk 1", "Milk 2"}
    assert sum(found["breadth"].values()) == slates


def test_every_panel_of_the_dashboard_has_figures_of_a_running_pipeline(
    running: Running, tmp_path: Path
) -> None:
    panels = {where: told for where, told in expressions().items() if not where.startswith("Nearline")}
    with prometheus_of(running.port, tmp_path) as url:
        empty = [where for where, expression in panels.items() if not samples(url, expression)]
    assert empty == ["Queries rejected A", "Rules changed"], "what has not happened; all else has figures"
