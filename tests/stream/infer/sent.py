"""An outbox that keeps what would go to Kafka."""

from __future__ import annotations

import json
from typing import Any


class Sent:
    """What was sent, in order: the topic and the value."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []

    async def send(self, topic: str, value: bytes, *_more: object, **_named: object) -> None:
        self.records.append((topic, json.loads(value)))

    async def flush(self) -> None:
        """Nothing waits here."""
