"""``nearline judge`` and ``nearline eval judge``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.judge import Calibration
from console.main import app
from nearline import NearlineError

run = CliRunner()

SHOPPING = Path("../shared/data/online_retail/online_retail_2010-12_2011-09.csv.gz")
there = pytest.mark.skipif(not SHOPPING.exists(), reason="Online Retail is not in ../shared/data")


def test_a_calibration_that_is_none_is_named_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "judge.json").write_text("{}")
    command = ["eval", "judge", "--events", "nothing.csv", "--cutoff", "2011-09-01"]
    result = run.invoke(app, [*command, "--calibration", str(tmp_path / "judge.json")])
    assert isinstance(result.exception, NearlineError)
    assert "judge.json" in str(result.exception)


@pytest.mark.parametrize(
    "verb", [["eval", "judge"], ["judge", "fit", "--out", "o"], ["judge", "label", "--out", "o"]]
)
def test_a_cutoff_that_is_no_day_is_named(verb: list[str]) -> None:
    result = run.invoke(app, [*verb, "--events", "nothing.csv", "--cutoff", "soon"])
    assert isinstance(result.exception, NearlineError)
    assert "'soon' is no day" in str(result.exception)


def test_the_packaged_calibration_tells_how_it_was_made() -> None:
    making = Calibration.load().making
    assert making["command"] == "nearline judge fit"
    assert making["cutoff"] < "2011-08-01"


@there
@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_packaged_judge_tells_faults_from_good_demands_of_shoppers_and_months_it_never_saw() -> None:
    command = ["eval", "judge", "--events", str(SHOPPING), "--cutoff", "2011-09-01", "--n", "300", "--json"]
    result = run.invoke(app, command)
    assert result.exception is None
    found = json.loads(result.stdout)
    assert found["count"] == 300
    for name in ("precision", "recall", "kept_precision", "kept_recall"):
        assert found[name][0] >= 0.85
    assert found["ece"] < 0.1
