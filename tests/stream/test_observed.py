"""What a running pipeline tells of itself: metrics, heartbeat, traces, logs, and messages as the contracts say."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from index.built.build import build_catalog
from index.settings import EncoderSettings, open_encoder
from stream.contracts import schema_of
from stream.embedded.ports import LOOPBACK, free_ports
from stream.metrics.described import METRICS
from stream.metrics.heartbeat import TTL_S, heartbeat_key
from stream.outbox import partition_of
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics
from stream.tracing import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
NOW = int(time.time() * 1000)
PRODUCERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UNSAMPLED_TRACE = "5bf92f3577b34da6a3ce929d0e0e4737"
SECRET = "hunter2"  # a password to look for


class Collector:
    """Takes traces by OTLP over HTTP, as a collector does; and has an embedding model, which need not be good here."""

    def __init__(self) -> None:
        self.spans: dict[str, dict[str, Any]] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer, kind = b"", "application/x-protobuf"
                if self.path == "/v1/embeddings":
                    answer, kind = embeddings(json.loads(body)), "application/json"
                else:
                    collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}"
        self.encoder = EncoderSettings(kind="server", url=f"{self.url}/v1", model="words")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.span_id.hex()] = {
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "began": span.start_time_unix_nano / 1e6,
                        "ended": span.end_time_unix_nano / 1e6,
                        "about": {a.key: a.value.string_value or a.value.int_value for a in span.attributes},
                    }

    def of(self, trace: str) -> dict[str, dict[str, Any]]:
        return {name: span for name, span in list(self.spans.items()) if span["trace"] == trace}


def embeddings(asked: dict[str, Any]) -> bytes:
    """By the letters of a text: texts of the same letters are near each other."""
    rows = [[1.0 + text.casefold().count(letter) for letter in ascii_lowercase] for text in asked["input"]]
    data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    answer = {"object": "list", "model": asked["model"], "data": data, "usage": usage}
    return json.dumps(answer).encode()


class Running:
    """A worker with both roles on real servers, and what was sent to it."""

    def __init__(self, brokers: str, valkey: str, folder: Path, collector: Collector) -> None:
        self.kafka = KafkaSettings(brokers=brokers, prefix=f"obs{os.getpid()}.", partitions=2)
        self.folder = folder
        self.port = free_ports(1)[0]
        self.prefix = f"nl-{self.kafka.prefix}"
        self.redis_url = valkey
        self.log = folder / "worker.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEARLINE_")},
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "NEARLINE_STREAM__KAFKA__BROKERS": brokers,
            "NEARLINE_STREAM__KAFKA__PREFIX": self.kafka.prefix,
            "NEARLINE_STREAM__KAFKA__PARTITIONS": "2",
            "NEARLINE_STREAM__REDIS__URL": valkey,
            "NEARLINE_STREAM__REDIS__PREFIX": self.prefix,
            "NEARLINE_STREAM__WEB__PORT": str(self.port),
            "NEARLINE_STREAM__TRACING__ENDPOINT": collector.url,
            "NEARLINE_INDEX__ENCODER__KIND": "server",
            "NEARLINE_INDEX__ENCODER__URL": collector.encoder.url,
            "NEARLINE_INDEX__ENCODER__MODEL": collector.encoder.model,
            "NEARLINE_STREAM__TRACING__RATIO": "0.5",
            "NEARLINE_STREAM__LOGS": "json",
            "NEARLINE_INDEX__CATALOG": str(folder / "catalog"),
            # Nobody listens there: every slate comes from a lower rung of the ladder, and at once.
            "NEARLINE_AGENTS__RUNTIME": "server",
            "NEARLINE_AGENTS__SERVER__URL": f"http://nearline:{SECRET}@{LOOPBACK}:9/v1",
            "NEARLINE_AGENTS__SERVER__MODEL": "nobody",
            "NEARLINE_RUN": str(folder / "run"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "worker"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.page("/metrics"))
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.samples().items() if found == name and wanted <= has)

    def until(self, what: str, check: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if check():
                    return
            except OSError:
                pass  # its page is not there yet
            assert time.monotonic() < deadline, (what, self.log.read_text()[-3000:])
            time.sleep(0.1)

    def explain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console", "explain", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def records(self, topic: str) -> list[Any]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.brokers, enable_auto_commit=False)
        try:
            parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            found: list[Any] = []
            quiet = 0
            while quiet < 3:
                batches = consumer.poll(timeout_ms=300)
                quiet = 0 if batches else quiet + 1
                for batch in batches.values():
                    found += batch
            return found
        finally:
            consumer.close()


def views(user: str, count: int = 6) -> list[dict[str, Any]]:
    """Enough views for the default rules to fire."""
    return [
        {"event_id": f"{user}-{n}", "user_id": user, "type": "view", "ts": NOW - 1000 + n, "item_id": f"i{n}"}
        for n in range(count)
    ]


SHOPPERS = [f"u{n}" for n in range(12)]
EVENTS: list[Any] = [event for user in SHOPPERS for event in views(user)]
HOSTILE: list[Any] = [
    EVENTS[0],
    b"no json",
    {"event_id": "x", "user_id": "u1", "type": "levitate", "ts": NOW, "item_id": "i1"},
    {**EVENTS[1], "event_id": "old", "ts": NOW - 40 * 86_400_000},
    {
        "specversion": "1.0",
        "id": "wrapped",
        "source": "/shop",
        "type": "com.example.view",
        "subject": "u2",
        "time": "2024-05-04T10:00:00Z",
        "data": {"item_id": "i1", "ts": NOW},
    },
]
SENT = len(EVENTS) + len(HOSTILE) + 12


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def running(
    tansu: str, valkey_server: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("observed")
    items = folder / "items.jsonl"
    items.write_text(
        "\n".join(
            json.dumps({"item_id": f"i{n}", "title": f"Oat drink number {n}", "category": f"Milk {n % 3}"})
            for n in range(40)
        )
    )
    build_catalog(items, folder / "catalog", open_encoder(collector.encoder))
    found = Running(tansu, valkey_server, folder, collector)
    create_topics(found.kafka)
    found.start()
    try:
        found.until(
            "the worker is ready", lambda: json.loads(found.page("/health/ready"))["status"] == "ready"
        )
        send(found)
        found.until("all events are received", lambda: found.total("nearline_events_received_total") >= SENT)
        found.until("a checkpoint has them", lambda: checkpointed(found) >= SENT)
        fired = found.total("nearline_triggers_total")
        assert fired >= len(SHOPPERS) + 2
        found.until(
            "every trigger has its outcome", lambda: found.total("nearline_triggers_served_total") >= fired
        )
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.process.terminate()
            found.process.wait(30)


def checkpointed(running: Running) -> int:
    with redis.Redis.from_url(running.redis_url) as store:
        values = [store.get(f"{running.prefix}offsets:{{p{n}}}") for n in range(2)]
    return sum(json.loads(value)["counts"]["received"] for value in values if value)


def send(running: Running) -> None:
    """The shoppers' events, hostile ones, and two shoppers whose producer traces."""

    async def play() -> None:
        async with Player(running.kafka) as player:
            await player.play([*EVENTS, *HOSTILE])

    asyncio.run(play())
    producer = KafkaProducer(bootstrap_servers=running.kafka.brokers, acks="all")
    try:
        for user, trace, flags in (("traced", PRODUCERS_TRACE, "01"), ("untraced", UNSAMPLED_TRACE, "00")):
            for event in views(user):
                producer.send(
                    f"{running.kafka.prefix}views",
                    json.dumps(event).encode(),
                    key=user.encode(),
                    partition=partition_of(user, 2),
                    headers=[("traceparent", f"00-{trace}-00f067aa0ba902b7-{flags}".encode())],
                )
        producer.flush()
    finally:
        producer.close()


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


def test_real_messages_are_as_the_contracts_say(running: Running) -> None:
    kafka = running.kafka
    slate_outcomes = [json.loads(record.value)["outcome"] for record in running.records(kafka.slates_topic)]
    assert set(slate_outcomes) <= {"served", "superseded"}
    for topic, contract in (
        (kafka.triggers_topic, "trigger"),
        (kafka.slates_topic, "slate-record"),
        (kafka.dead_topic, "dead-record"),
    ):
        schema = jsonschema.Draft202012Validator(schema_of(contract))
        records = running.records(topic)
        assert records, topic
        for record in records:
            schema.validate(json.loads(record.value))
    event, wrapped = (jsonschema.Draft202012Validator(schema_of(name)) for name in ("event", "cloud-event"))
    for sent in EVENTS:
        event.validate(sent)
    wrapped.validate(HOSTILE[-1])
    assert not event.is_valid(HOSTILE[2])
    with redis.Redis.from_url(running.redis_url) as store:
        for kind in ("slate", "trace"):
            schema = jsonschema.Draft202012Validator(schema_of(kind))
            keys = list(store.scan_iter(f"{running.prefix}{kind}:*"))
            assert keys
            for key in keys:
                schema.validate(json.loads(store.get(key) or b""))


def test_every_line_of_the_log_is_json_and_names_the_triggers_it_is_about_and_no_password(
    running: Running,
) -> None:
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines
    assert all(line["worker"].endswith(f"-{running.port}") for line in lines)
    named = {trigger for line in lines for trigger in line.get("triggers", ())}
    fired = {json.loads(record.value)["id"] for record in running.records(running.kafka.triggers_topic)}
    assert named
    assert named <= fired
    assert SECRET not in text


def test_a_worker_that_ends_takes_its_heartbeat_away_and_sends_its_last_spans(
    running: Running, collector: Collector
) -> None:
    """The last of the module: the worker is gone after it."""
    wanted = 0
    for record in running.records(running.kafka.slates_topic):
        wanted += "traceparent" in dict(record.headers)
    assert running.process is not None
    running.process.terminate()
    assert running.process.wait(60) == 0
    with redis.Redis.from_url(running.redis_url) as store:
        assert not store.exists(heartbeat_key(running.prefix, f"{socket.gethostname()}-{running.port}"))
    assert [span["name"] for span in collector.spans.values()].count("trigger to slate") == wanted > 0
