"""A collector of traces, which also answers as an embedding model."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import ascii_lowercase
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from index.settings import EncoderSettings
from stream.embedded.ports import LOOPBACK


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
