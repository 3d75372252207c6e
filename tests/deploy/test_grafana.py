"""The dashboard is what Grafana's own schema says a dashboard is, down to the options of its panels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "nearline.json"


def differences(mine: Any, theirs: Any, where: str = "dashboard") -> Iterator[str]:
    """What of ``mine`` is not in ``theirs`` as it is here."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key, value in mine.items():
            if key in theirs:
                yield from differences(value, theirs[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: no such field"
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif mine != theirs:
        yield f"{where}: {mine!r} is read as {theirs!r}"


def mistyped(thing: Any, where: str = "dashboard") -> Iterator[str]:
    """Fields that hold what the schema does not allow."""
    if isinstance(thing, list):
        for number, one in enumerate(thing):
            yield from mistyped(one, f"{where}[{number}]")
    elif type(thing).__module__.startswith("grafana_foundation_sdk.models"):
        for name, hint in get_type_hints(type(thing)).items():
            value = getattr(thing, name)
            try:
                TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
            except ValidationError as error:
                yield f"{where}.{name}: {error.errors()[0]['msg']}, not {value!r}"
            yield from mistyped(value, f"{where}.{name}")


@pytest.fixture(scope="module", autouse=True)
def panels_and_queries() -> None:
    register_default_plugins()


def faults(board: dict[str, Any]) -> list[str]:
    read = Dashboard.from_json(board)
    return [*differences(board, json.loads(JSONEncoder().encode(read))), *mistyped(read)]


def test_the_dashboard_is_as_grafanas_schema_has_it() -> None:
    assert faults(json.loads(BOARD.read_text())) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"refreshing": "10s"}, "dashboard.refreshing: no such field"),
        ({"schemaVersion": "newest"}, "dashboard.schema_version: Input should be a valid integer"),
        ({"title": 7}, "dashboard.title: Input should be a valid string"),
    ],
)
def test_what_the_schema_does_not_have_is_found(change: dict[str, Any], words: str) -> None:
    assert words in "\n".join(faults({**json.loads(BOARD.read_text()), **change}))


def test_faults_within_a_panel_are_found() -> None:
    board = json.loads(BOARD.read_text())
    panel = next(one for one in board["panels"] if one["type"] == "timeseries")
    panel["gridPos"]["w"] = "wide"
    panel["targets"][0]["expression"] = panel["targets"][0].pop("expr")
    panel["options"]["legend"]["place"] = "bottom"
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "relative", "steps": []}
    found = "\n".join(faults(board))
    for words in (
        "expression: no such field",
        "legend.place: no such field",
        "grid_pos.w: ",
        "thresholds.mode: ",
    ):
        assert words in found, words
