"""Writes docs/configuration.md from the settings model: ``python -m console.configuration``."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from console.settings import CONFIG_VARIABLE, SECRETS_VARIABLE, Settings

__all__ = ["configuration_page"]

_HEAD = f"""# Configuration

Every setting of Nearline, generated from the settings model (`make docs`).

What counts, first to last: the environment, the files in the folder that `{SECRETS_VARIABLE}` names (one for each
setting, such as `stream__redis__password`), the file that `{CONFIG_VARIABLE}` names (or `nearline.yaml` in the current
folder), the embedded stack that runs in this folder (`nearline up`), and the defaults below.

A setting's name in the environment is `NEARLINE_` and its path in capitals with `__` between the parts:
`stream.redis.url` is `NEARLINE_STREAM__REDIS__URL`. Lists and mappings are written as JSON there. A name that is no
setting is refused, there and in the file. In the file the path is nesting:

```yaml
stream:
  kafka:
    brokers: kafka-1:9092,kafka-2:9092
  redis:
    url: rediss://nearline:secret@redis:6379/0
agents:
  runtime: server
  server:
    url: http://vllm:8000/v1
    model: my-model
```

Trigger rules are a file of their own; `nearline rules show --default` prints the default with its comments, which are
its manual, `nearline rules check FILE` checks yours, and `nearline rules set FILE --note WHY` puts it in force.
"""


def configuration_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    parts.extend(_section(Settings, "", ""))
    return "\n".join(parts).rstrip() + "\n"


def _section(model: type[BaseModel], path: str, about: str) -> list[str]:
    """A table of the model's own settings, then a section for each model inside it."""
    rows, inner = [], []
    for name, field in model.model_fields.items():
        full = f"{path}.{name}" if path else name
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            inner.extend(_section(nested, full, field.description or ""))
        else:
            rows.append(
                f"| `{full}` | {_kind(field.annotation)} | {_default(field)} | {_cell(field.description or '')} |"
            )
    if not rows:
        return inner
    title = f"## `{path}`" if path else "## General"
    head = ["", title, ""]
    if about:
        head += [about, ""]
    return [*head, "| setting | type | default | meaning |", "| --- | --- | --- | --- |", *rows, *inner]


def _kind(annotation: Any) -> str:
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return _cell(" or ".join(f"`{member.value}`" for member in annotation))
        return {
            "str": "text",
            "int": "whole number",
            "float": "number",
            "bool": "true or false",
            "Path": "path",
        }.get(annotation.__name__, "secret text" if annotation is SecretStr else annotation.__name__)
    arguments = [a for a in get_args(annotation) if a is not type(None)]
    if arguments and all(isinstance(a, str) for a in arguments):
        return " or ".join(f"`{a}`" for a in arguments)
    origin = getattr(annotation, "__origin__", None)
    if origin in {list, tuple}:
        return "list"
    if origin is dict:
        return "mapping"
    return " or ".join(_kind(a) for a in arguments) or str(annotation)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, list):
        value = [
            entry.model_dump(exclude_defaults=True) if isinstance(entry, BaseModel) else entry
            for entry in value
        ]
    if value == "":
        return "empty"
    return _cell(f"`{value if isinstance(value, str) else json.dumps(value)}`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
