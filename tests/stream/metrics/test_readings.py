"""What is exported is what is described, and docs/metrics.md is made of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.metrics.described import METRICS
from stream.metrics.latency import Latency
from stream.metrics.page import metrics_page
from stream.metrics.readings import MOST_LABELS, Readings, bounded
from stream.metrics.worker import WorkerMetrics

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_page_in_the_docs_is_what_the_descriptions_generate() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_page(), "run `make docs`"


def test_every_metric_is_described_in_words_and_named_as_prometheus_wants_it() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"nearline_[a-z0-9_]+[a-z0-9]", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.kind != "histogram" or metric.name.endswith("_seconds")
        assert metric.meaning.endswith("."), metric.name
        assert metric.act.endswith("."), metric.name


def test_a_metric_or_label_that_is_not_described_is_refused() -> None:
    readings = Readings(["gate"])
    with pytest.raises(KeyError, match="nearline_made_up"):
        readings.say("nearline_made_up", 1)
    with pytest.raises(KeyError, match="has the labels partition"):
        readings.say("nearline_events_received_total", 1, user="ann")
    with pytest.raises(KeyError):
        readings.say("nearline_items", 1)  # of infer


def test_the_page_for_prometheus_and_the_flat_values_say_the_same() -> None:
    latency = Latency()
    for ms in (3, 40, 900):
        latency.note(ms / 1000)

    def source(readings: Readings) -> None:
        readings.say_all("nearline_triggers_total", {'od"d\\': 4, "views": 2}, "rule")
        readings.times("nearline_event_to_trigger_seconds", latency)

    metrics = WorkerMetrics("w", ["gate"], {"gate": lambda: False})
    metrics.add("gate", source)
    values = metrics.read().values
    page = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.exposition())
        for sample in family.samples
    }
    assert page["nearline_triggers_total", ('od"d\\',)] == 4
    assert values['nearline_triggers_total{rule="od\\"d\\\\"}'] == 4
    assert page["nearline_worker_ready", ("gate",)] == values['nearline_worker_ready{check="gate"}'] == 0
    assert page["nearline_event_to_trigger_seconds_bucket", ("0.05",)] == 2
    assert values["nearline_event_to_trigger_seconds_count"] == 3
    assert 0.025 < values["nearline_event_to_trigger_seconds_p50"] <= 0.05
    assert not any("bucket" in name for name in values)


def test_labels_are_bounded() -> None:
    counts: dict[str, int] = {}
    for n in range(MOST_LABELS + 50):
        bounded(counts, f"rule-{n}")
    bounded(counts, "rule-3")
    assert len(counts) == MOST_LABELS + 1
    assert (counts["other"], counts["rule-3"]) == (50, 2)
