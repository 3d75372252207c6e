"""docs/contracts/ as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from stream.contracts.asyncapi import asyncapi_document
from stream.contracts.schemas import SCHEMAS, schema_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["contract_files", "write_contracts"]

_HEAD = """# Contracts

What goes over Kafka and lies in Redis, as files for other programs: validate what you send, generate types for what you
read. `make docs` makes them from the types that Nearline itself reads and writes with.

[asyncapi.yaml](asyncapi.yaml) has the topics, their keys and their messages (AsyncAPI 3.0; Studio and the generators of
asyncapi.com read it). The messages, as JSON Schemas (draft 2020-12):

| schema | what |
| --- | --- |
"""

_TAIL = """
Fields are added without notice; none is taken away or given another meaning without a new number in `schema` (slates,
chains, heartbeats) or a note under Upgrades in [operations.md](../operations.md). So ignore what you do not know.

An event is checked more closely than a schema can say: ids and scenes have no control characters, and no time lies in the
future. What fails is on `nearline.dead` with the reason.

## CloudEvents

Every event topic takes events in CloudEvents envelopes too (structured JSON mode, version 1.0), side by side with plain ones:

```json
{"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "com.example.view", "subject": "ann",
 "time": "2026-05-04T10:00:00Z", "datacontenttype": "application/json", "data": {"item_id": "i-7"}}
```

`data` is the event. Where it lacks `event_id`, `user_id`, `ts` or `type`, the envelope's `id`, `subject`, `time` and the last
part of `type` stand in; a topic with a type of its own (`views`) keeps that. An envelope costs some microseconds more to read
than a plain event; a plain event costs nothing more. In binary mode the record's value is read as any event: it must be
a whole one, because a replay has values and no headers.
"""


def contract_files() -> dict[str, str]:
    """Every file by its name."""
    files = {f"{name}.schema.json": _json(schema_of(name)) for name in SCHEMAS}
    files["asyncapi.yaml"] = yaml.safe_dump(
        asyncapi_document(), sort_keys=False, width=110, allow_unicode=True
    )
    rows = [
        f"| [{name}.schema.json]({name}.schema.json) | {contract.about.partition('. ')[0].rstrip('.')} |"
        for name, contract in SCHEMAS.items()
    ]
    files["README.md"] = _HEAD + "\n".join(rows) + "\n" + _TAIL
    return files


def write_contracts(folder: Path) -> None:
    """Write every file into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contract_files().items():
        (folder / name).write_text(text, encoding="utf-8")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
