"""A worker over real servers that asks a model by leads and has it word portraits: what is in Redis afterwards."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import redis

from index.built.build import build_catalog
from index.settings import open_encoder
from stream.embedded.ports import LOOPBACK
from stream.topics import create_topics
from tests.stream.observed.collector import Collector
from tests.stream.observed.pipeline import NOW, Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real


class Model(BaseHTTPRequestHandler):
    """Words portraits by their facts, and wants tea with milk of everybody."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        facts = asked["messages"][-1]["content"].startswith("facts: ")
        text = json.dumps({"queries": ["oat drink buyer"] if facts else ["breakfast tea"]})
        body = json.dumps(
            {
                "id": "x", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
            }
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def model() -> Iterator[str]:
    server = ThreadingHTTPServer((LOOPBACK, 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_port}/v1"
    server.shutdown()


def _event(at: int, kind: str) -> dict[str, Any]:
    more = {"quantity": 1, "amount": 3.0} if kind == "order" else {}
    return {
        "event_id": f"e{at}",
        "user_id": "ann",
        "type": kind,
        "ts": NOW - 2_400_000 + at,
        "item_id": f"i{at}",
        **more,
    }


@pytest.mark.timeout(900)
def test_the_next_slate_knows_the_portrait_in_the_models_words(
    tansu: str, valkey_server: str, model: str, tmp_path: Path
) -> None:
    import asyncio

    from stream.player import Player

    collector = Collector()
    items = tmp_path / "items.jsonl"
    rows = [
        {"item_id": f"i{n}", "title": f"Oat drink number {n}", "category": "Oat drink"} for n in range(40)
    ]
    items.write_text("\n".join(map(json.dumps, rows)))
    build_catalog(items, tmp_path / "catalog", open_encoder(collector.encoder))
    running = Running(tansu, valkey_server, tmp_path, collector)
    running.kafka = running.kafka.model_copy(update={"prefix": "words."})
    running.prefix = "nl-words."
    running.environment |= {
        "NEARLINE_STREAM__KAFKA__PREFIX": "words.",
        "NEARLINE_STREAM__REDIS__PREFIX": running.prefix,
        "NEARLINE_AGENTS__SERVER__URL": model,
        "NEARLINE_AGENTS__WORDING__ENABLED": "true",
    }
    create_topics(running.kafka)
    running.start()

    def send(*events: dict[str, Any]) -> None:
        async def play() -> None:
            async with Player(running.kafka) as player:
                await player.play(list(events))

        asyncio.run(play())

    store = redis.Redis.from_url(valkey_server)

    def trace() -> dict[str, Any]:
        found = store.get(f"{running.prefix}trace:ann")
        return json.loads(found) if found else {}

    try:
        running.until(
            "the worker is ready", lambda: json.loads(running.page("/health/ready"))["status"] == "ready"
        )
        send(*(_event(at, "order") for at in range(4)), *(_event(at, "view") for at in range(4, 10)))
        running.until("a slate", lambda: bool(trace()))
        running.until("words", lambda: bool(store.get(f"{running.prefix}portrait:ann")))
        first = trace()
        assert first["rung"] == "llm"
        assert {tuple(one["leads"]) for one in first["demands"] if one["kind"] != "explicit"} == {
            ("recent", "long-term")
        }
        # The rules rest for ten minutes of the events' time.
        later = [{**_event(at, "view"), "ts": NOW - 600_000 + at} for at in range(10, 16)]
        send(*later)
        running.until("the next slate", lambda: trace()["version"] > first["version"])
        assert "; oat drink buyer" in trace()["prompt"]["text"]
        assert json.loads(running.page("/stats"))["infer"]["portraits"]["worded"] == 1
    finally:
        if running.process is not None:
            running.process.terminate()
            running.process.wait(60)
        collector.server.shutdown()
        store.close()
