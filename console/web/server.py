"""Serving the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from console.web.app import make_app
from console.web.settings import is_loopback
from stream.embedded.ports import require_free

if TYPE_CHECKING:
    from console.settings import Settings

__all__ = ["address", "serve"]


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        NearlineError: the port is taken, or a secret or the audit log cannot be used.
    """
    mine = settings.console
    if is_loopback(mine.host):
        require_free(mine.port, purpose="The operators' page (console.port)")
    uvicorn.run(
        make_app(settings),
        host=mine.host,
        port=mine.port,
        ssl_certfile=mine.certificate,
        ssl_keyfile=mine.certificate_key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=mine.behind_tls,
        timeout_graceful_shutdown=3,
    )


def address(settings: Settings) -> str:
    """Where a browser finds it."""
    mine = settings.console
    scheme = "https" if mine.certificate is not None else "http"
    host = f"[{mine.host}]" if ":" in mine.host and not mine.host.startswith("[") else mine.host
    return f"{scheme}://{host}:{mine.port}/"
