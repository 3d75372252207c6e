"""A trace goes from the producer's span to the slate, and leads to its chain."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from stream.tracing import trace_id_of
from tests.stream.observed.pipeline import PRODUCERS_TRACE, SHOPPERS, UNSAMPLED_TRACE, Running

if TYPE_CHECKING:
    from tests.stream.observed.collector import Collector

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_trace_goes_from_the_producers_span_to_the_slate(running: Running, collector: Collector) -> None:
    names = {"event to trigger", "trigger to slate", "queue", "infer", "recall", "rank", "write"}
    running.until(
        "the spans have come",
        lambda: names <= {span["name"] for span in collector.of(PRODUCERS_TRACE).values()},
        20,
    )
    spans = collector.of(PRODUCERS_TRACE)
    by_name = {span["name"]: (key, span) for key, span in spans.items()}
    gate, slate = by_name["event to trigger"], by_name["trigger to slate"]
    assert gate[1]["parent"] == "00f067aa0ba902b7"
    assert slate[1]["parent"] == gate[0]
    assert by_name["write"][1]["parent"] == slate[0]
    assert gate[1]["about"]["nearline.trigger"] == slate[1]["about"]["nearline.trigger"]
    assert slate[1]["began"] - 1 <= by_name["recall"][1]["began"] <= by_name["recall"][1]["ended"]
    assert by_name["write"][1]["ended"] <= slate[1]["ended"] + 1
    for span in spans.values():
        assert span["ended"] >= span["began"]
    assert not collector.of(UNSAMPLED_TRACE), "its producer decided against it"


def test_traces_begun_at_the_gate_are_those_whose_ids_say_so(running: Running, collector: Collector) -> None:
    fired = defaultdict(list)
    for record in running.records(running.kafka.triggers_topic):
        trigger = json.loads(record.value)
        fired[trigger["user"]].append((trigger["event_id"], dict(record.headers).get("traceparent")))
    assert len(fired) == len(SHOPPERS) + 2
    sampled = 0
    for user in SHOPPERS:
        for event_id, parent in fired[user]:
            trace = trace_id_of(user, event_id)
            if trace & (2**64 - 1) < 2**63:
                assert parent is not None
                assert parent.decode().split("-")[1] == f"{trace:032x}"
                sampled += 1
            else:
                assert parent is None
    assert 0 < sampled < sum(map(len, fired.values()))
    assert [parent for _, parent in fired["untraced"]] == [None]


def test_the_chain_is_found_by_the_trace_id(running: Running) -> None:
    found = running.explain("--trace", PRODUCERS_TRACE, "--json")
    assert found.returncode == 0, found.stderr
    chain = json.loads(found.stdout)
    assert (chain["user"], chain["trace_id"]) == ("traced", PRODUCERS_TRACE)
    assert f"Trace {PRODUCERS_TRACE}" in running.explain("traced").stdout
    missing = running.explain("--trace", "0" * 31 + "1")
    assert missing.returncode == 2
    assert "No slate" in missing.stderr
    assert running.explain("--trace", "not-an-id").returncode == 2
