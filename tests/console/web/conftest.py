"""The application in process, asked without a network; and a shop on real servers for the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from console.settings import Settings
from console.web.app import make_app
from stream.embedded.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.applications import Starlette

SECRETS = {"ann": "ann-operates-0123", "bob": "bob-operates-0123", "vic": "vic-looks-on-0123"}
BASE = "http://127.0.0.1:8650"


class Page:
    """The application, and one browser's worth of cookies at it."""

    def __init__(self, app: Starlette, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def post(self, path: str, form: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return await self.client.post(path, data=form or {}, **more)

    async def sign_in(self, name: str = "ann") -> httpx.Response:
        return await self.post("/sign-in", {"name": name, "secret": SECRETS[name]})

    def guard(self, name: str = "ann") -> str:
        access = self.app.state.access
        return access.guard(access.sign_in(name, SECRETS[name], "test"))


@pytest.fixture
async def make_page(tmp_path: Path) -> AsyncIterator[Callable[..., Page]]:
    """Makes applications; ``redis`` is a URL and ``kafka`` settings, of where nobody listens if not given."""
    clients: list[httpx.AsyncClient] = []

    def make(
        redis: str | None = None,
        *,
        accounts: bool = True,
        kafka: dict[str, Any] | None = None,
        **console: Any,
    ) -> Page:
        settings = Settings.model_validate(
            {
                "stream": {
                    "redis": {"url": redis or f"redis://127.0.0.1:{free_ports(1)[0]}/0"},
                    "kafka": kafka or {"brokers": f"127.0.0.1:{free_ports(1)[0]}", "partitions": 2},
                },
                "index": {"catalog": str(tmp_path / "no-catalog")},
                "console": {
                    "accounts": [
                        {"name": name, "role": "viewer" if name == "vic" else "operator", "secret": secret}
                        for name, secret in SECRETS.items()
                    ]
                    if accounts
                    else [],
                    "audit_log": str(tmp_path / "trail.jsonl"),
                    **console,
                },
            }
        )
        app = make_app(settings)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE
        )
        clients.append(client)
        return Page(app, client)

    yield make
    for client in clients:
        await client.aclose()
