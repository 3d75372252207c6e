"""The whole way from a trigger to a slate with a real student: in this process, and behind real OpenAI-compatible servers.

What differs between the runs is `agents.runtime` and the address. The servers are `transformers serve`, which takes no
schema, and vLLM, which enforces it; vLLM lives in an environment of its own and is asked where NEARLINE_VLLM_PYTHON names
that environment's interpreter (`make vllm-parity`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

pytest.importorskip("torch")

from agents import AgentSettings, Ladder, open_runtime
from index import Recall, build_catalog
from stream.dead import Origin
from stream.embedded.ports import free_ports
from stream.gate.state.recent import Recent
from stream.infer.pipeline import Pipeline
from stream.infer.source import Received
from stream.redis_client import connect_redis
from stream.settings import InferSettings, KafkaSettings, RedisSettings, SlateSettings
from stream.slates import SlateStore
from stream.triggers import Trigger
from tests.agents.distill.shop import GARDEN, KITCHEN, PHRASES, pairs_in, student_in
from tests.index.conftest import WordEncoder
from tests.stream.infer.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

_START_S = 240.0


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of a shop with two kinds of shoppers."""
    return student_in(
        tmp_path_factory.mktemp("models") / "student", pairs_in(tmp_path_factory.mktemp("lesson"))
    )


@contextmanager
def _serving(command: list[str], url: str, folder: Path) -> Iterator[None]:
    log = folder / "log"
    # It lists the models of a cache, which must be there, and may be empty.
    surroundings = {**os.environ, "HF_HUB_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=surroundings, start_new_session=True
        )
    try:
        until = time.monotonic() + _START_S
        while True:
            try:
                with urllib.request.urlopen(url, timeout=60):
                    break
            except OSError:
                ended = process.poll()
                assert ended is None, log.read_text()[-2_000:]
                assert time.monotonic() < until, f"no answer in time: {log.read_text()[-2_000:]}"
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def transformers_server(student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`transformers serve` on the student; settings that go to it."""
    pytest.importorskip("fastapi")
    port = free_ports(1)[0]
    command = [
        sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", str(student),
        "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32",
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("serve")
    # The first answer of the list takes seconds, for which a worker's probe does not wait.
    with _serving(command, f"http://127.0.0.1:{port}/v1/models", folder):
        yield {"url": f"http://127.0.0.1:{port}/v1", "model": str(student), "structured": False}


@pytest.fixture(scope="module")
def vllm_server(student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """VLLM on the student; settings that go to it."""
    python = os.environ.get("NEARLINE_VLLM_PYTHON")
    if not python:
        pytest.skip("NEARLINE_VLLM_PYTHON names no interpreter that has vLLM")
    from bench.vllm_parity import NAME, serving

    with serving(Path(python), student, tmp_path_factory.mktemp("vllm") / "log") as url:
        yield {"url": url, "model": NAME}


def _received(user: str, *items: str) -> Received:
    now = time.time_ns() // 1_000_000
    recent = [Recent(f"{user}-{at}", "order", now - 86_400_000 + at, item) for at, item in enumerate(items)]
    trigger = Trigger(
        user.encode().hex(), "orders", "r", user, 1, recent[-1].event_id, now, now, now, recent, []
    )
    return Received(Origin("nearline.triggers", 0, 1), msgspec.json.encode(trigger), trigger, "", now)


@pytest.mark.parametrize(
    "where", ["student", "transformers_server", pytest.param("vllm_server", marks=pytest.mark.long)]
)
@pytest.mark.timeout(1_900)
async def test_slates_are_the_models_wherever_it_runs(
    where: str, student: Path, valkey: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    common = {
        "prompt": "u2q-student-1",
        "profile_chars": 1_200,
        "query_chars": 48,
        "queries": 6,
        "max_tokens": 64,
        "temperature": 0.0,
        "deadline": 120,
    }
    if where == "student":
        told = {"runtime": "student", "student": {"model": str(student), "threads": 1}}
    else:
        server = {"mode": "completion", "timeout": 120, **request.getfixturevalue(where)}
        told = {"runtime": "server", "server": server}
    settings = AgentSettings.model_validate({**common, **told})
    runtime = open_runtime(settings, PHRASES)
    ladder = Ladder(runtime, settings)
    await ladder.prepare()

    items = tmp_path / "items.jsonl"
    rows = [{"item_id": one, "title": one, "category": one.split()[0]} for one in PHRASES]
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    encoder = WordEncoder()
    build_catalog(items, tmp_path / "catalog", encoder)
    from pydantic import SecretStr

    redis = await connect_redis(RedisSettings(url=SecretStr(valkey)))
    store, sent = SlateStore(redis, "nl:", SlateSettings()), Sent()
    outbox: Any = sent
    pipeline = Pipeline(
        ladder,
        Recall.open(tmp_path / "catalog", encoder),
        store,
        outbox,
        KafkaSettings(),
        InferSettings(),
    )
    # As many as a worker takes together, of both kinds.
    batch = [
        _received(f"{kind}-{at}", *(things[(at + step) % 8] for step in (0, 3)))
        for kind, things in (("garden", GARDEN), ("kitchen", KITCHEN))
        for at in range(4)
    ]
    await pipeline.serve(batch)
    assert pipeline.rungs == {"llm": 8}
    for one in batch:
        assert one.trigger is not None
        user, kind = one.trigger.user, one.trigger.user.split("-")[0]
        slate, trace = await store.slate(user), await store.trace(user)
        assert slate is not None
        assert trace is not None
        written = [demand["query"] for demand in trace.demands]
        assert written
        # What the student learnt of its kind of shopper, in the catalogue's words, wherever it was computed.
        assert {query.split()[0] for query in written} == {kind}
        assert slate.candidates[0].item in written
    assert {record["outcome"] for _, record in sent.records} == {"served"}
    await runtime.close()
    await redis.aclose()
