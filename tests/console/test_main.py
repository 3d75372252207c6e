"""The command as a shell sees it: what it prints where, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream.gate.rules.ruleset import DEFAULT_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


@pytest.fixture
def nearline(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEARLINE_")}
    environment["PYTHONPATH"] = str(ROOT)

    def run(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console", *argv],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_help_lists_every_verb(nearline: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = nearline("--help")
    assert done.returncode == 0
    for verb in ("demo", "up", "down", "worker", "send", "catalog", "slate", "explain", "rules", "doctor"):
        assert verb in done.stdout


def test_good_rules_are_called_good(nearline: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = nearline("rules", "check", str(DEFAULT_RULES), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["rules"] == ["five-views", "search", "global-behaviour"]


def test_wrong_rules_are_one_clear_message_and_exit_code_2(
    nearline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("rules:\n  - id: a\n    when: {types: [view], count: many, within: 5m}\n")
    done = nearline("rules", "check", str(file))
    assert done.returncode == 2
    assert "mine.yaml, line 3: rule a, field when.count" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [("slate", "u"), ("explain", "u"), ("worker",)])
def test_a_missing_redis_is_one_line_with_the_way_out_and_exit_code_2(
    verb: tuple[str, ...], nearline: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = nearline(*verb, NEARLINE_STREAM__REDIS__URL="redis://u:hunter2@127.0.0.1:1/0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("nearline: No Redis answers at redis://127.0.0.1:1/0")
    assert "nearline up" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_broker_is_one_line_with_the_way_out_and_exit_code_2(
    nearline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"event_id": "e", "user_id": "u", "type": "view", "ts": 1, "item_id": "i"}\n')
    done = nearline("send", str(events), NEARLINE_STREAM__KAFKA__BROKERS="127.0.0.1:1")
    assert done.returncode == 2
    assert "No Kafka broker answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_role_is_refused_with_the_roles_there_are(
    nearline: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = nearline("worker", "--roles", "gate,janitor")
    assert done.returncode == 2
    assert "gate or infer" in done.stderr
