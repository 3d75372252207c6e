"""The console's pages over a Redis behind TLS with a user of few rights, and over a cluster."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from console.settings import Settings
from console.web.app import make_app
from stream.embedded.ports import LOOPBACK, free_ports
from stream.metrics.minutes import MINUTE_MS, Minute, write_minute
from stream.slates import Slate, SlateCandidate

if TYPE_CHECKING:
    from pathlib import Path

    from stream.settings import RedisSettings

pytestmark = pytest.mark.real

RULES = "rules:\n  - id: a\n    when: {types: [view], count: 3, within: 5m}\n"


@pytest.mark.parametrize("topology", ["tls_redis", "redis_cluster"])
async def test_every_page_is_whole_and_rules_are_applied(
    topology: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    redis: RedisSettings = request.getfixturevalue(topology)
    own = redis.model_dump(exclude_defaults=True) | {"prefix": f"nl:{uuid.uuid4().hex[:8]}:"}
    settings = Settings.model_validate(
        {
            "stream": {
                "redis": own,
                "kafka": {"brokers": f"{LOOPBACK}:{free_ports(1)[0]}", "partitions": 2},
            },
            "index": {"catalog": str(tmp_path / "no-catalog")},
            "console": {"audit_log": str(tmp_path / "trail.jsonl")},
        }
    )
    app = make_app(settings)
    console = app.state.console
    now = int(time.time() * 1000)
    for number in range(2, 6):
        at = now // MINUTE_MS * MINUTE_MS - number * MINUTE_MS
        minute = Minute(
            {"received": 60}, {"a": 7}, {"llm": 2}, {"dense": 100}, {"new": 10}, {"Milk": 100}, {"1": 2}
        )
        await write_minute(console.redis, own["prefix"], at, f"w:{number}", minute, 7200)
    slate = Slate(1, 1, "ab", "ann", now, "llm", [SlateCandidate("i1", 0.5, "milk", "why", "dense")])
    await console.redis.set(f"{own['prefix']}slate:ann", msgspec.json.encode(slate))
    await console.watch.look(now)
    await console.minutes.refresh(now)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8650") as client:

        async def text(path: str, **form: Any) -> str:
            answer = await (client.post(path, data=form) if form else client.get(path))
            assert answer.status_code in {200, 303}, answer.text
            return answer.text

        guard = app.state.access.guard(app.state.access._local)
        await text("/rules/apply", guard=guard, text=RULES, base="0", note="calmer")
        for path, words in {
            "/": "Triggers and slates a minute",
            "/rules": "calmer",
            "/rules/edit": "count: 3",
            "/shopper?user=ann": "slate 1, made",
            "/shopper/some": "ann",
            "/discovery": "Categories shown most",
            "/trail": "rules applied",
        }.items():
            assert words in await text(path), path
    await console.redis.aclose()
