from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from console.verbs import evaluation
from nearline import NearlineError

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000


def write(path: Path, orders: list[tuple[str, str, int]]) -> Path:
    lines = [
        {"event_id": f"{at}", "user_id": user, "type": "order", "ts": day * DAY, "item_id": item}
        for at, (user, item, day) in enumerate(orders)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(evaluation.app, list(arguments))
    assert isinstance(result.exception, NearlineError), result.output
    assert result.exception.way_out
    return str(result.exception)


@pytest.mark.parametrize("verb", ["slate", "discovery"])
@pytest.mark.parametrize(
    ("orders", "cutoff", "said"),
    [
        ([("ann", "a", 1), ("ann", "b", 9)], "1970-02-01", "no purchase on or after the cutoff 1970-02-01"),
        ([("ann", "a", 50), ("ann", "b", 51)], "1970-02-01", "no purchase before the cutoff 1970-02-01"),
        ([("ann", "a", 1), ("bob", "b", 50)], "1970-02-01", "None of the 1 shoppers"),
        ([("ann", "a", 1), ("ann", "b", 2), ("ann", "a", 50)], "1970-02-01", "anything new"),
        ([("ann", "a", 1)], "soon", "'soon' is no day"),
        ([], "1970-02-01", "no valid event of the type order"),
    ],
)
def test_events_that_leave_nobody_to_measure_are_an_error_that_says_why(
    tmp_path: Path, verb: str, orders: list[tuple[str, str, int]], cutoff: str, said: str
) -> None:
    events = write(tmp_path / "events.jsonl", orders)
    extra = ["--rule", "novel", "--channel", "popularity"] if verb == "slate" else []
    assert said in refused(verb, "--events", str(events), "--cutoff", cutoff, *extra)


def test_the_span_of_the_log_is_said_beside_a_cutoff_that_misses_it(tmp_path: Path) -> None:
    events = write(tmp_path / "events.jsonl", [("ann", "a", 1), ("ann", "b", 9)])
    message = refused("slate", "--events", str(events), "--cutoff", "1970-02-01")
    assert "from 1970-01-02 to 1970-01-10" in message


@pytest.mark.parametrize("share", ["-0.1", "1.5"])
def test_a_share_of_discovery_that_is_none_is_refused(tmp_path: Path, share: str) -> None:
    events = write(tmp_path / "events.jsonl", [("ann", "a", 1)])
    message = refused("discovery", "--events", str(events), "--cutoff", "1970-02-01", f"--share={share}")
    assert "from 0 to 1" in message


def test_popularity_is_measured_from_a_file_of_ones_own_events(tmp_path: Path) -> None:
    orders = [(f"u{user}", item, day) for user in range(6) for item, day in (("a", 1), ("b", 20))]
    orders += [(f"u{user}", "c", 40 + user) for user in range(6)] + [("late", "c", 25)]
    events = write(tmp_path / "events.jsonl", orders)
    result = CliRunner().invoke(
        evaluation.app,
        ["slate", "--events", str(events), "--cutoff", "1970-02-01", "--channel", "popularity", "--json"],
    )
    assert result.exception is None, result.output
    report = json.loads(result.stdout)
    assert report["novel"]["shoppers"] == 6
    assert report["novel"]["channels"]["popularity"]["HR@20"]["mean"] == 1.0


def retrieval(tmp_path: Path, judgments: str, *arguments: str) -> list[str]:
    catalog = tmp_path / "catalog.jsonl"
    rows = [{"id": "1", "title": "Red mug"}, {"id": "2", "title": "Blue hat"}]
    catalog.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = tmp_path / "judgments.csv"
    file.write_text("query,docid,rating\n" + judgments, encoding="utf-8")
    return [
        "retrieval", "--catalog", str(catalog), "--judgments", str(file), "--channel", "bm25", *arguments
    ]  # fmt: skip


def test_judgments_of_unknown_documents_are_counted_and_listed_with_their_lines(tmp_path: Path) -> None:
    arguments = retrieval(tmp_path, "mug,1,3\nmug,77,2\nhat,88,1\n", "--json")
    result = CliRunner().invoke(evaluation.app, arguments)
    assert result.exception is None, result.output
    report = json.loads(result.stdout)
    assert report["judgments_of_unknown_documents"] == 2
    assert report["first_unknown"] == [{"line": 3, "docid": "77"}, {"line": 4, "docid": "88"}]
    assert report["queries"] == 1


def test_judgments_of_nothing_but_unknown_documents_are_an_error(tmp_path: Path) -> None:
    message = refused(*retrieval(tmp_path, "mug,77,2\n"))
    assert "1 judgments are of unknown documents" in message


@pytest.mark.real
def test_discovery_shows_the_share_beside_its_loss_and_the_slates_that_came_up_short(tmp_path: Path) -> None:
    random = Random(3)
    orders = [
        (f"u{user}", f"i{item + user % 2 * 60}", day)
        for user in range(60)
        for day in range(user % 9, 150, 9)
        for item in random.sample(range(60), 3)
    ]
    events = write(tmp_path / "events.jsonl", orders)
    arguments = [
        "discovery",
        "--events",
        str(events),
        "--cutoff",
        "1970-05-01",
        "--share",
        "0",
        "--share",
        "0.5",
    ]
    result = CliRunner().invoke(evaluation.app, arguments)
    assert result.exception is None, result.output
    assert "loss of NDCG@20" in result.output
    assert "0.00%" in result.output
    assert "50%: " in result.output
    assert "came up short" in result.output
