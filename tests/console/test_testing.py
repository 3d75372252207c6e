"""The pytest plugin, as a team uses it on a capture of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stream.replay import shop
from tests.stream.replay.captures import write_capture

ROOT = Path(__file__).parents[2]
RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 12h}}\n"
TEST = """
def test_friday_fires_as_before(assert_same_slates):
    assert_same_slates("friday", rules="rules.yaml", slates=False)

def test_friday_fires_about_as_before(assert_same_slates):
    assert_same_slates("friday", rules="rules.yaml", slates=False, tolerances={"triggers.lost": 0.9})
"""


def pytest_run(folder: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "console.testing", *options],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NEARLINE_INDEX__CATALOG": str(folder / "none"),
            "NEARLINE_CONFIG": "",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.real
def test_a_golden_is_written_kept_and_missed(tmp_path: Path) -> None:
    write_capture(tmp_path / "friday", shop.history(300))
    (tmp_path / "rules.yaml").write_text(RULES % 3)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_friday.py").write_text(TEST)
    code, said = pytest_run(tmp_path, "-k", "as_before")
    assert code == 1
    assert "There is no golden" in said
    assert "pytest --update-goldens" in said
    code, said = pytest_run(tmp_path, "--update-goldens")
    assert code == 0, said
    assert "golden written" in said
    assert (tmp_path / "friday.golden.jsonl.gz").is_file()
    (tmp_path / "rules.yaml").write_text(RULES % 4)
    code, said = pytest_run(tmp_path)
    assert "1 failed, 1 passed" in said
    assert "triggers.lost" in said
    assert "rule views:" in said
    assert "difference.html" in said
