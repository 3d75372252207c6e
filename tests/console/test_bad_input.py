"""What verbs say to bad input: one error that names the input and the way out, before anything slow is begun."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from console.main import app
from nearline import NearlineError

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "wrong.csv": "sku,name\n1,Red mug\n",
    "retail.csv": "InvoiceNo,StockCode\n1,2\n",
    "words.jsonl": "not json\n",
    "empty.jsonl": "",
    "one.jsonl": '{"event_id": "a", "user_id": "u", "type": "order", "ts": 1795352011980, "item_id": "1"}\n',
    "when.jsonl": '{"event_id": "a", "user_id": "u", "type": "order", "ts": "today", "item_id": "1"}\n',
    "item.jsonl": '{"item_id": "1", "title": "Red mug", "category": "Kitchen"}\n',
    "noise.parquet": "PAR0 certainly not",
    "noise.jsonl.gz": "no gzip",
    "rules.yaml": "rules:\n  - id: a\n    when: nonsense\n",
    "unclosed.yaml": "rules: [\n",
    "file": "",
}
RETAIL = ["--events", "one.jsonl", "--catalog", "item.jsonl", "--cutoff"]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files above; nothing listens where the defaults look for a broker and a Redis."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("NEARLINE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("catalog build nothing.jsonl", "nothing.jsonl"),
        ("catalog build folder", "folder is a folder"),
        ("catalog build rules.yaml", "rules.yaml is of no kind"),
        ("catalog build wrong.csv --column id", "--column 'id'"),
        ("catalog publish nothing.csv --offline", "nothing.csv"),
        ("catalog publish item.jsonl --as-of yesterday", "--as-of 'yesterday'"),
        ("catalog rollback 7", "version 7"),
        ("catalog send words.jsonl", "words.jsonl, line 1"),
        ("catalog send noise.jsonl.gz", "noise.jsonl.gz"),
        ("send nothing.jsonl", "nothing.jsonl"),
        ("send rules.yaml", "'rules.yaml'"),
        ("send online-retail", "online-retail"),
        ("explain", "a shopper or a trace"),
        ("explain --trace abc", "'abc'"),
        ("worker --roles gate,cook", "'gate,cook'"),
        ("worker --replay nothing", "nothing"),
        ("rules check nothing.yaml", "nothing.yaml"),
        ("rules check rules.yaml", "rules.yaml, line 3: rule a, field when"),
        ("rules check unclosed.yaml", "unclosed.yaml, line 2"),
        ("rules check folder", "folder"),
        ("dead list --since yesterday", "--since 'yesterday'"),
        ("dead show 1", "'1'"),
        ("record --out rec --last soon", "--last 'soon'"),
        ("replay nothing --name x", "nothing"),
        ("replay folder --name x", "folder"),
        ("replay diff a b", "a holds no run"),
        ("cassette show nothing", "nothing"),
        ("cassette show wrong.csv", "wrong.csv"),
        ("simulate --catalog nothing.jsonl --out o.jsonl", "nothing.jsonl"),
        ("simulate --catalog wrong.csv --out o.jsonl", "wrong.csv"),
        ("simulate --catalog item.jsonl --out o.jsonl --start never", "--start 'never'"),
        ("simulate --catalog item.jsonl --out o.jsonl --set noize=1", "did you mean noise?"),
        ("simulate --catalog item.jsonl --out o.jsonl --set noise=much", "found 'much'"),
        ("rules simulate rules.yaml --from one.jsonl", "rules.yaml, line 3"),
        ("rank train --events nothing.jsonl", "nothing.jsonl"),
        ("rank train --events retail.csv", "retail.csv: line 1 lacks the columns"),
        ("rank train --events when.jsonl", "when.jsonl has no valid event"),
        ("rank train --events empty.jsonl", "empty.jsonl has no valid event"),
        ("rank train --events noise.parquet", "noise.parquet"),
        ("rank train --events noise.jsonl.gz", "noise.jsonl.gz"),
        ("rank train --events one.jsonl --slates words.jsonl", "words.jsonl, line 1"),
        ("rank export file/x.jsonl", "file/x.jsonl"),
        ("encoder train --events one.jsonl --catalog item.jsonl --out file", "file"),
        ("encoder train --events one.jsonl --out enc --cutoff 2011-99-01", "'2011-99-01'"),
        ("distill prepare --events one.jsonl --catalog item.jsonl --out p --cutoff 2011-09-01", "one.jsonl"),
        ("distill train folder --out s", "folder/phrases.jsonl"),
        ("distill train folder --out s --set speed=9", "speed"),
        ("eval slate --events one.jsonl --cutoff 2011-09-01 --channel magic", "'magic'"),
        ("eval slate --events one.jsonl --cutoff 2011-09-01", "2011-09-01"),
        ("index tune --queries wrong.csv --catalog folder", "folder"),
        ("index tune --queries wrong.csv --vectors wrong.csv", "wrong.csv"),
        ("trends mine nothing --catalog folder", "nothing"),
        ("console --port 99999999", "99999999"),
        ("up --broker-port 99999999", "99999999"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_the_way_out(line: str, named: str) -> None:
    error = CliRunner().invoke(app, line.split()).exception
    assert isinstance(error, NearlineError), repr(error)
    assert named in error.message
    assert error.way_out
    assert "\n" not in str(error)
    assert ".." not in str(error).replace("...", "")


def test_up_names_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run" / "stack.lock").mkdir(parents=True)
    monkeypatch.setenv("NEARLINE_RUN", "run")
    error = CliRunner().invoke(app, ["up"]).exception
    assert isinstance(error, NearlineError), repr(error)
    assert "run cannot be written" in error.message
