"""Against a real HTTP server that answers as ``/v1/embeddings`` does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import SecretStr

from index import (
    EncoderSettings,
    EncoderUnavailableError,
    Query,
    Recall,
    RecallRequest,
    ServerEncoder,
    build_catalog,
    open_encoder,
)
from index.encoders.fingerprint import same_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems

pytestmark = pytest.mark.real


class EmbeddingServer(ThreadingHTTPServer):
    def __init__(self, encoder: WordEncoder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.encoder = encoder
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.answer: bytes | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.keys.add(self.headers["Authorization"])
        status = 200 if self.path == "/v1/embeddings" and body["model"] == "words" else 404
        vectors = self.server.encoder.encode(body["input"]) * 3
        data = [
            {"object": "embedding", "index": n, "embedding": row.tolist()} for n, row in enumerate(vectors)
        ]
        answer = {
            "object": "list",
            "data": data[::-1],
            "model": "words",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        raw = self.server.answer or json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name for it
        pass


@pytest.fixture
def server(encoder: WordEncoder) -> Iterator[EmbeddingServer]:
    with EmbeddingServer(encoder) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_vectors_come_in_the_order_of_the_texts_and_of_length_one(
    server: EmbeddingServer, encoder: WordEncoder
) -> None:
    remote = ServerEncoder(server.url, "words")
    texts = [f"lamp {n}" for n in range(300)]
    assert remote.dimensions == 64
    assert remote.encode(texts) == pytest.approx(encoder.encode(texts), abs=1e-6)
    assert [len(body["input"]) for body in server.requests] == [1, 256, 44]
    assert {body["encoding_format"] for body in server.requests} == {"float"}


def test_a_catalogue_built_through_the_server_is_served_through_it(
    server: EmbeddingServer, tmp_path: Path, write_items: WriteItems
) -> None:
    settings = EncoderSettings(kind="server", url=server.url, model="words", api_key=SecretStr("abc"))
    build_catalog(
        write_items([{"item_id": "1", "title": "red lamp"}]), tmp_path / "out", open_encoder(settings)
    )
    recall = Recall.open(tmp_path / "out", open_encoder(settings))
    assert recall.recall([RecallRequest((Query("lamp"),))]).candidates[0][0].item == "1"
    assert server.keys == {"Bearer abc"}


def test_two_connections_to_one_model_are_the_same_encoder_and_another_model_is_not(
    server: EmbeddingServer, other_encoder: WordEncoder
) -> None:
    one, two = ServerEncoder(server.url, "words"), ServerEncoder(server.url, "words")
    assert same_encoder(one.fingerprint, two.fingerprint)
    server.encoder = other_encoder
    assert not same_encoder(one.fingerprint, ServerEncoder(server.url, "words").fingerprint)


def test_an_unknown_model_is_an_error(server: EmbeddingServer) -> None:
    with pytest.raises(EncoderUnavailableError, match="no vectors for nonesuch"):
        ServerEncoder(server.url, "nonesuch")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": [1, "x"]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
    ],
)
def test_an_answer_without_vectors_is_an_error(server: EmbeddingServer, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(EncoderUnavailableError, match=r"embedding server http"):
        ServerEncoder(server.url, "words")


def test_a_model_changed_under_way_is_an_error(server: EmbeddingServer) -> None:
    remote = ServerEncoder(server.url, "words")
    server.answer = json.dumps({"data": [{"index": 0, "embedding": np.ones(7).tolist()}]}).encode()
    with pytest.raises(EncoderUnavailableError, match="7 dimensions"):
        remote.encode(["lamp"])


def test_a_server_that_is_not_there_is_an_error_that_names_it(server: EmbeddingServer) -> None:
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(EncoderUnavailableError, match=url):
        ServerEncoder(url, "words", timeout_s=1)


def test_a_server_needs_its_address_and_model() -> None:
    with pytest.raises(EncoderUnavailableError, match="address and model"):
        open_encoder(EncoderSettings(kind="server", url="http://127.0.0.1:9/v1"))
