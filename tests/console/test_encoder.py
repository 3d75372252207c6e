from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from console.errors import ConsoleError
from console.verbs import encoder, evaluation
from index import EncoderSettings, open_encoder
from index.errors import CatalogError
from index.settings import encoder_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000
COLOURS = ("red", "blue", "green", "white", "black", "pink")
THINGS = ("lamp", "mug", "clock", "basket", "cushion", "candle", "tray", "frame", "bowl", "sign")


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, Path]:
    random = Random(7)
    items = [(f"i{at}", f"{COLOURS[at % 6]} garden {THINGS[at // 6]} number {at}") for at in range(60)]
    catalog, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl"
    catalog.write_text(
        "".join(json.dumps({"item_id": item, "title": title}) + "\n" for item, title in items),
        encoding="utf-8",
    )
    lines = []
    for user in range(40):
        mine = [item for item, _ in items[user % 2 :: 2]]
        for day in (3, 20, 40, 50):
            start = day * DAY
            lines.append({"type": "search", "query": f"gift for {user % 4}", "ts": start})
            lines.append({"type": "click", "item_id": random.choice(mine), "ts": start + 1_000})
            lines += [
                {"type": "order", "item_id": item, "ts": start + 5_000} for item in random.sample(mine, 4)
            ]
            for line in lines[-6:]:
                line["user_id"] = f"u{user}"
    events.write_text(
        "".join(json.dumps({"event_id": str(at), **line}) + "\n" for at, line in enumerate(lines)),
        encoding="utf-8",
    )
    return events, catalog


def run(*arguments: object) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(encoder.app, ["train", *map(str, arguments)])
    return result.output, result.exception


@pytest.mark.real
def test_a_trained_encoder_opens_by_its_path_and_is_measured_beside_the_general_one(
    shop: tuple[Path, Path], tmp_path: Path
) -> None:
    events, catalog = shop
    out = tmp_path / "encoder"
    output, error = run(
        "--events",
        events,
        "--catalog",
        catalog,
        "--out",
        out,
        "--cutoff",
        "1970-02-15",
        "--steps",
        10,
        "--json",
    )
    assert error is None, output
    training = json.loads(output)
    assert training["until"] == "1970-02-15"
    assert (training["texts"], training["shoppers"], training["queries"]) == (60, 40, 4)

    settings = EncoderSettings(path=out)
    opened = open_encoder(settings)
    assert opened.fingerprint == encoder_fingerprint(settings) != encoder_fingerprint(EncoderSettings())
    assert opened.dimensions == 384

    result = CliRunner().invoke(
        evaluation.app,
        [
            *("encoder", "--events", str(events), "--catalog", str(catalog)),
            *("--cutoff", "1970-02-18", "--encoder", str(out), "--json"),
        ],
    )
    assert result.exception is None, result.output
    report = json.loads(result.stdout)
    assert set(report["encoders"]) == {"general", str(out)}
    assert report["encoders"][str(out)]["fingerprint"] == opened.fingerprint
    assert report["learnt_later"] == []
    assert 0 < report["encoders"]["general"]["Recall@50"]["mean"] <= 1


def test_too_little_to_learn_a_wrong_file_and_a_taken_place_are_errors_that_leave_nothing(
    shop: tuple[Path, Path], tmp_path: Path
) -> None:
    events, catalog = shop
    out = tmp_path / "encoder"
    _, error = run("--events", events, "--catalog", catalog, "--out", out, "--cutoff", "1970-01-02")
    assert isinstance(error, CatalogError)
    assert "0 shoppers and 0 titles" in str(error)
    _, error = run("--events", events, "--out", out)
    assert isinstance(error, CatalogError)
    assert "a catalogue that has the items' titles" in str(error)
    _, error = run("--events", tmp_path / "none.jsonl", "--out", out)
    assert isinstance(error, ConsoleError)
    assert not out.exists()
    _, error = run("--events", events, "--catalog", catalog, "--out", tmp_path)
    assert isinstance(error, CatalogError)
    assert "holds no trained encoder" in str(error)
