from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from console.errors import ConsoleError
from console.verbs.index_tune import app
from index.encoders.encoder import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(path: Path, n: int, seed: int, length: float = 1.0) -> str:
    np.save(path, length * unit_rows(np.random.default_rng(seed).normal(size=(n, 24))))
    return str(path)


def tune(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tune", *arguments])


def test_the_table_names_every_type_in_full_and_the_pick_reaches_the_recall(tmp_path: Path) -> None:
    vectors, queries = saved(tmp_path / "v.npy", 500, 0), saved(tmp_path / "q.npy", 20, 1)
    given = ("--vectors", vectors, "--queries", queries, "--only", "Flat", "--only", "HNSW16,SQ8")
    shown = tune(*given, "--recall", "0.95")
    assert shown.exit_code == 0, shown.exception
    for part in ("Flat", "HNSW16,SQ8", "recall@100", "CPU ms p50", "build s", "Picked: "):
        assert part in shown.output
    assert "…" not in shown.output
    told = json.loads(tune(*given, "--json").stdout)
    assert told["picked"] in told["measured"]
    assert told["picked"]["recall"] >= 0.95
    assert all(one["cpu_p50_ms"] > 0 for one in told["measured"])


def test_where_nothing_reaches_the_recall_within_the_limits_it_says_so(tmp_path: Path) -> None:
    vectors, queries = saved(tmp_path / "v.npy", 500, 0), saved(tmp_path / "q.npy", 20, 1)
    given = ("--vectors", vectors, "--queries", queries)
    for limits in (("--only", "SQ8", "--recall", "1"), ("--only", "Flat", "--most-ms", "0.0001")):
        answer = tune(*given, *limits)
        assert isinstance(answer.exception, ConsoleError)
        assert "No type reaches" in str(answer.exception)
    nothing = tune(*given, "--most-mb", "0.001")
    assert "Nothing is left to try" in str(nothing.exception)


@pytest.mark.parametrize(
    ("length", "dimensions", "wanted"), [(2.0, 24, "whose length is not 1"), (1.0, 25, "25 dimensions")]
)
def test_vectors_and_queries_that_cannot_be_compared_are_refused(
    tmp_path: Path, length: float, dimensions: int, wanted: str
) -> None:
    vectors = saved(tmp_path / "v.npy", 300, 0, length)
    np.save(tmp_path / "q.npy", unit_rows(np.random.default_rng(1).normal(size=(40, dimensions))))
    answer = tune("--vectors", vectors, "--queries", str(tmp_path / "q.npy"))
    assert isinstance(answer.exception, ConsoleError)
    assert wanted in str(answer.exception)
