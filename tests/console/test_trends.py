"""``nearline trends``, as a person types it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from console.main import app
from console.settings import load_settings
from index import build_catalog
from index.settings import open_encoder
from nearline import NearlineError

if TYPE_CHECKING:
    from pathlib import Path

run = CliRunner()


@pytest.mark.parametrize("name", ["missing", "table.csv"])
def test_a_path_without_documents_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "table.csv").write_text("x")
    result = run.invoke(app, ["trends", "mine", str(tmp_path / name)])
    assert isinstance(result.exception, NearlineError)
    assert name in str(result.exception)


def test_a_folder_of_refused_lines_says_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"ts": 1}\n')
    result = run.invoke(app, ["trends", "mine", str(tmp_path)])
    assert isinstance(result.exception, NearlineError)
    assert "bad.jsonl, line 1: neither title nor text" in str(result.exception)


@pytest.mark.real
def test_trends_of_a_shops_categories_are_printed_with_their_sources_and_the_rest_is_left_out(
    tmp_path: Path,
) -> None:
    things = {
        "Lighting": ["Mushroom table lamp", "Brass desk lamp", "Fairy lights", "Paper lampshade"],
        "Garden": ["Climbing rose plant", "Watering can", "Herb seeds", "Rose trellis"],
        "Tableware": ["Porcelain teapot", "Linen napkins", "Cake stand", "Sugar bowl"],
    }
    lines = [
        {"item_id": f"{category}{at}", "title": title, "category": category}
        for category, titles in things.items()
        for at, title in enumerate(titles)
    ]
    source = tmp_path / "items.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    build_catalog(source, tmp_path / "catalog", open_encoder(load_settings().index.encoder))
    now = int(time.time() * 1000)
    documents = [
        {
            "id": "a",
            "title": "Mushroom lamps everywhere",
            "text": "A mushroom lamp glows.",
            "ts": now - 86_400_000,
        },
        {"id": "b", "title": "The mushroom lamp returns", "text": "", "ts": now - 2 * 86_400_000},
        {"id": "c", "title": "Climbing roses", "text": "Nurseries sell climbing roses.", "ts": now},
        {"id": "d", "title": "Interest rates", "text": "The central bank raised interest rates.", "ts": now},
    ]
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, documents)))
    command = ["trends", "mine", str(tmp_path / "news.jsonl"), "--catalog", str(tmp_path / "catalog")]
    result = run.invoke(app, [*command, "--json"])
    assert result.exception is None
    found = json.loads(result.stdout)
    assert found["irrelevant"] == ["d"]
    lamp = next(one for one in found["trends"] if "mushroom lamp" in one["phrases"])
    assert lamp["category"] == "Lighting"
    assert set(lamp["sources"]) == {"a", "b"}
    assert lamp["age_days"] == pytest.approx(1.0, abs=0.1)
    assert any(one["category"] == "Garden" and one["sources"] == ["c"] for one in found["trends"])
    shown = run.invoke(app, command)
    assert shown.exception is None
    assert "Lighting" in shown.stdout
