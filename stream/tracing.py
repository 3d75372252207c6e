"""Traces: from an event to its trigger to its slate, through Kafka's headers, by OpenTelemetry.

Off unless ``stream.tracing.endpoint`` names a collector. Only events that fire a rule are looked at. Where
their producer sent a W3C ``traceparent``, its trace goes on and its decision whether to sample holds. Else the
trace begins at the gate: its id is a hash of shopper and event, and whether it is sampled follows from the id,
so a trigger published again after a crash, or in a replay, has the same trace.

The trigger's record and that of the slate carry the ``traceparent`` on; the slate's chain has the id.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from nearline import __version__
from stream.errors import TracingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    from stream.gate.gate import Outcome
    from stream.infer.chain import Thought
    from stream.outbox import Record
    from stream.slates import Trace
    from stream.triggers import Trigger

__all__ = ["Headers", "Tracing", "TracingSettings", "open_tracing", "trace_id_of"]

log = logging.getLogger(__name__)

Headers: TypeAlias = "Sequence[tuple[str, bytes]]"

_PATH = "/v1/traces"
_CARRIED = frozenset({"traceparent", "tracestate"})
_LOW_64 = 2**64 - 1
_STOP_MS = 3_000


class TracingSettings(BaseModel):
    """Traces by OpenTelemetry; needs ``nearline[tracing]``."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = Field(
        default=None,
        description="OTLP/HTTP address of a collector, such as `http://collector:4318`; `/v1/traces` is added where it "
        "has no path. Without one nothing is traced.",
        pattern=r"^https?://[^\s@]+$",
    )
    ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of triggers whose trace begins at the gate. Producers that send `traceparent` decide for "
        "their events themselves.",
    )


class _Stage(NamedTuple):
    """A part of the way: when it began and ended, wall clock, milliseconds."""

    name: str
    began: float
    ended: float


def trace_id_of(user: str, event_id: str) -> int:
    """Trace id of an event whose producer sent none."""
    digest = hashlib.blake2b(f"{user}\0{event_id}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big") or 1


def open_tracing(settings: TracingSettings, worker: str) -> Tracing | None:
    """Tracing to the configured collector; None where there is none.

    Raises:
        TracingError: OpenTelemetry is not installed.
    """
    if settings.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise TracingError(
            "stream.tracing.endpoint is set, and OpenTelemetry is not installed.",
            way_out="pip install 'nearline[tracing]', or take the setting out.",
        ) from error
    address = settings.endpoint.rstrip("/")
    if "/" not in address.partition("://")[2]:
        address += _PATH
    log.info("tracing to %s, %g of the triggers", address, settings.ratio)
    return Tracing(BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=5)), settings.ratio, worker)


class Tracing:
    """Makes the spans of one worker.

    Args:
        processor: takes finished spans; it must not wait.
        ratio: share of the traces begun here that are sampled.
        worker: the worker's name.
    """

    def __init__(self, processor: SpanProcessor, ratio: float, worker: str) -> None:
        from opentelemetry import trace as api  # noqa: PLC0415  # an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        class Ids(RandomIdGenerator):
            """Gives the trace id that was set beforehand; spans get random ones."""

            def generate_trace_id(self) -> int:
                return tracing._next_trace  # its own

        tracing = self
        self._api = api
        self._next_trace = 1
        self._below = round(ratio * 2**64)
        self._format = TraceContextTextMapPropagator()
        resource = Resource.create(
            {
                "service.name": "nearline",
                "service.version": __version__,
                "service.instance.id": worker,
                "host.name": socket.gethostname(),
            }
        )
        self._provider: TracerProvider = TracerProvider(
            resource=resource, id_generator=Ids(), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("nearline", __version__)

    def triggers(self, outcome: Outcome, partition: int, now: int) -> Sequence[Record]:
        """A batch's triggers as records; those that are traced with headers. ``now`` is wall clock, milliseconds."""
        records: list[Record] = list(outcome.triggers)
        for place, fired in enumerate(outcome.fired):
            arrival = fired.arrival
            event = arrival.event
            parent = self._parent(arrival.headers) if arrival.headers else None
            if parent is None:
                trace = trace_id_of(event.user_id or "", getattr(event, "event_id", ""))
                # As OpenTelemetry's TraceIdRatioBased decides, so that other services agree.
                if (trace & _LOW_64) >= self._below:
                    continue
                self._next_trace = trace
            elif not self._is_sampled(parent):
                continue
            span = self._tracer.start_span(
                "event to trigger",
                parent,
                kind=self._api.SpanKind.CONSUMER,
                start_time=arrival.sent_at * 1_000_000,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.destination.name": arrival.topic,
                    "messaging.destination.partition.id": str(partition),
                    "messaging.kafka.offset": arrival.offset,
                    "nearline.event": getattr(event, "event_id", ""),
                    "nearline.trigger": fired.trigger,
                    "nearline.rule": fired.rule,
                },
            )
            span.end(max(now, arrival.sent_at) * 1_000_000)
            key, value = outcome.triggers[place]
            records[place] = (key, value, self._carried(self._api.set_span_in_context(span)))
        return records

    def following(self, headers: Headers) -> Context | None:
        """The trace that a trigger's record carries; None where it is not traced."""
        parent = self._parent(headers) if headers else None
        return parent if parent is not None and self._is_sampled(parent) else None

    def id_of(self, context: Context) -> str:
        """The trace's id, 32 hexadecimal digits."""
        return format(self._api.get_current_span(context).get_span_context().trace_id, "032x")

    def slate(
        self,
        thought: Thought,
        trace: Trace,
        thinking_ms: Mapping[str, float],
        at: float,
    ) -> Headers:
        """Make the spans of a slate from its chain; what the slate's record carries on.

        Args:
            thought: the trigger, with the trace that :meth:`following` found.
            trace: its slate's chain.
            thinking_ms: the ladder's times.
            at: when the slate was in Redis; wall clock, milliseconds.
        """
        trigger = thought.trigger
        span = self._tracer.start_span(
            "trigger to slate",
            thought.traced,
            kind=self._api.SpanKind.CONSUMER,
            start_time=trigger.made_at * 1_000_000,
            attributes={
                "nearline.trigger": trigger.id,
                "nearline.outcome": str(trace.outcome),
                "nearline.rung": trace.rung,
                "nearline.demands": len(trace.demands),
                "nearline.candidates": len(trace.candidates),
                "gen_ai.request.model": str(trace.prompt["model"]),
                "gen_ai.usage.input_tokens": int(trace.prompt["prompt_tokens"] or 0),
                "gen_ai.usage.output_tokens": int(trace.prompt["output_tokens"] or 0),
            },
        )
        inside = self._api.set_span_in_context(span)
        for stage in _stages(trigger, trace.timings_ms, thinking_ms, thought.received_at, at):
            child = self._tracer.start_span(stage.name, inside, start_time=round(stage.began * 1e6))
            child.end(round(max(stage.ended, stage.began) * 1e6))
        span.end(round(max(at, trigger.made_at) * 1e6))
        return self._carried(inside)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.force_flush(_STOP_MS)
        self._provider.shutdown()

    def _parent(self, headers: Headers) -> Context | None:
        carrier = {name: value.decode("ascii", "replace") for name, value in headers if name in _CARRIED}
        if "traceparent" not in carrier:
            return None
        context = self._format.extract(carrier)
        return context if self._api.get_current_span(context).get_span_context().is_valid else None

    def _is_sampled(self, context: Context) -> bool:
        flags: Any = self._api.get_current_span(context).get_span_context().trace_flags
        return bool(flags.sampled)

    def _carried(self, context: Context) -> Headers:
        carrier: dict[str, str] = {}
        self._format.inject(carrier, context)
        return [(name, value.encode()) for name, value in carrier.items()]


def _stages(
    trigger: Trigger,
    times: Mapping[str, float],
    thinking: Mapping[str, float],
    received_at: float,
    at: float,
) -> list[_Stage]:
    """The stages of a slate one after the other; those of a batch's common calls took as long for each of its triggers."""
    found = [_Stage("queue", trigger.made_at, max(received_at, trigger.made_at))]
    steps = ("prepare", "infer", "recall", "write")
    began = at - sum(times.get(step, 0.0) for step in steps)
    for step in steps:
        ended = began + times.get(step, 0.0)
        found.append(_Stage(step, began, ended))
        inner = {
            "infer": [(name, thinking.get(name)) for name in ("profile", "model", "judge")],
            "recall": [
                (name, times.get(key))
                for name, key in (("encode", "encode"), ("search", "search"), ("rank", "fuse"))
            ],
        }.get(step, [])
        moment = began
        for name, took in inner:
            if took:
                found.append(_Stage(name, moment, moment + took))
                moment += took
        began = ended
    return found
