from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from console.errors import ConsoleError
from console.verbs import rank
from index.errors import CatalogError
from index.ranking.training import Learnt

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000


def write(path: Path, users: int) -> Path:
    random = Random(7)
    lines = [
        {
            "event_id": f"{user}-{day}-{place}",
            "user_id": f"u{user}",
            "type": "order",
            "ts": day * DAY,
            "item_id": f"i{random.randrange(60) + user % 2 * 60}",
        }
        for user in range(users)
        for day in range(user % 9, 150, 9)
        for place in range(3)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(rank.app, ["train", *arguments])
    return result.output, result.exception


def test_train_saves_a_ranking_that_opens_with_figures_of_the_last_month(tmp_path: Path) -> None:
    events = write(tmp_path / "events.jsonl", 50)
    output, error = run("--events", str(events), "--out", str(tmp_path / "ranking"))
    assert error is None, output
    learnt = Learnt.open(tmp_path / "ranking")
    assert learnt.manifest["shoppers"] == 50
    assert learnt.manifest["held_out"]["novel"]["shoppers"] > 0
    assert "NDCG@20" in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no valid event of the type order"),
        ('{"event_id": "1", "user_id": "u", "type": "view", "ts": 1}\n', "no valid event of the type order"),
    ],
)
def test_a_file_without_orders_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(content, encoding="utf-8")
    _, error = run("--events", str(events), "--out", str(tmp_path / "ranking"))
    assert isinstance(error, CatalogError)
    assert message in str(error)
    assert not (tmp_path / "ranking").exists()


def test_too_few_shoppers_and_a_file_that_is_not_there_are_errors(tmp_path: Path) -> None:
    _, error = run("--events", str(write(tmp_path / "events.jsonl", 4)), "--out", str(tmp_path / "ranking"))
    assert isinstance(error, CatalogError)
    assert "Only 4 of 4 shoppers" in str(error)
    _, error = run("--events", str(tmp_path / "none.jsonl"))
    assert isinstance(error, ConsoleError)
    assert "There is no file" in str(error)
