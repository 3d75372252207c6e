"""Traces follow the events: which are sampled, what carries them on, and when each stage was."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from pydantic import ValidationError

from stream.errors import TracingError
from stream.events import EventDecoder
from stream.gate.gate import Arrival, Fired, Outcome
from stream.tracing import Tracing, TracingSettings, open_tracing, trace_id_of

NOW = 1_760_000_000_000


def tracing(ratio: float) -> tuple[Tracing, InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    return Tracing(SimpleSpanProcessor(kept), ratio, "w"), kept


def outcome(*events: tuple[str, Any]) -> Outcome:
    """One trigger for each (event id, headers)."""
    made = Outcome()
    for offset, (event_id, headers) in enumerate(events):
        value = b'{"event_id":"%s","user_id":"ann","type":"view","ts":%d,"item_id":"i"}' % (
            event_id.encode(),
            NOW,
        )
        event = EventDecoder().decode(value, NOW)
        arrival = Arrival((NOW, NOW), "views", offset, event, value, NOW, headers)
        made.triggers.append((b"ann", b"{}"))
        made.fired.append(Fired("five-views", f"t{offset}", arrival))
    return made


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text("abcdef0123456789", min_size=1, max_size=8), min_size=1, max_size=30, unique=True))
def test_the_same_events_are_sampled_in_every_run_as_opentelemetry_decides_by_the_id(ids: list[str]) -> None:
    runs = []
    for _ in range(2):
        traced, kept = tracing(0.3)
        records = traced.triggers(outcome(*((event_id, ()) for event_id in ids)), 0, NOW + 5)
        runs.append([format(span.context.trace_id, "032x") for span in kept.get_finished_spans()])
        sampler = TraceIdRatioBased(0.3)
        for event_id, record in zip(ids, records, strict=True):
            wanted = sampler.should_sample(None, trace_id_of("ann", event_id), "").decision
            assert (len(record) > 2) == (wanted is Decision.RECORD_AND_SAMPLE)
    assert runs[0] == runs[1]


def test_the_producers_trace_goes_on_and_its_decision_holds() -> None:
    traced, kept = tracing(0.0)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    yes = [("traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode()), ("tracestate", b"shop=1")]
    no = [("traceparent", f"00-{trace}-00f067aa0ba902b7-00".encode())]
    broken = [("traceparent", b"\xff\xfe"), ("other", b"x")]
    records = traced.triggers(outcome(("a", yes), ("b", no), ("c", broken), ("d", ())), 3, NOW + 5)
    (span,) = kept.get_finished_spans()
    assert [len(record) for record in records] == [3, 2, 2, 2]
    assert format(span.parent.span_id, "016x") == "00f067aa0ba902b7"
    headers: Any = records[0][2]  # type: ignore[misc]  # the one with headers
    assert dict(headers)["traceparent"].split(b"-")[1].decode() == trace
    assert dict(headers)["tracestate"] == b"shop=1"
    assert (span.start_time, span.end_time) == (NOW * 1_000_000, (NOW + 5) * 1_000_000)
    assert span.attributes["messaging.destination.partition.id"] == "3"
    following = traced.following(headers)
    assert following is not None
    assert traced.id_of(following) == trace
    assert traced.following(no) is None
    assert traced.following([]) is None


def test_without_a_collector_nothing_is_traced_and_its_address_has_no_password() -> None:
    assert open_tracing(TracingSettings(), "w") is None
    for wrong in ("collector:4318", "http://ann:secret@collector:4318", "ftp://x"):
        with pytest.raises(ValidationError):
            TracingSettings(endpoint=wrong)


def test_a_collector_without_opentelemetry_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(TracingError, match=r"nearline\[tracing\]"):
        open_tracing(TracingSettings(endpoint="http://127.0.0.1:1"), "w")


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1/v1/traces"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/v1/traces"),
        ("http://127.0.0.1:1/otlp/v1/traces", "http://127.0.0.1:1/otlp/v1/traces"),
    ],
)
def test_the_path_is_added_where_there_is_none(
    endpoint: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        made = open_tracing(TracingSettings(endpoint=endpoint), "w")
    assert made is not None
    made.close()
    assert f"tracing to {address}," in caplog.text
