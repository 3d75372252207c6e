from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from stream.embedded.errors import EmbeddedError
from stream.embedded.stack import EmbeddedStack, status, stop
from stream.embedded.state import STATE_FILE, ProcessMark, StackState, read_state, write_state


def _state(supervisor: ProcessMark, children: list[ProcessMark] | None = None) -> StackState:
    return StackState(
        supervisor=supervisor,
        children=children or [],
        broker="tansu",
        bootstrap="127.0.0.1:9092",
        redis_url="redis://127.0.0.1:6379/0",
        log_dir=Path("logs"),
        persist=False,
        started_at=datetime(2025, 5, 4, tzinfo=UTC),
    )


def test_a_state_comes_back_as_it_was_written_and_leaves_no_other_file(tmp_path: Path) -> None:
    state = _state(ProcessMark.of("supervisor", os.getpid()))
    write_state(tmp_path, state)
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_a_mark_finds_its_process_and_not_a_later_one_with_the_same_pid() -> None:
    mark = ProcessMark.of("me", os.getpid())
    assert mark.alive
    reused = mark.model_copy(update={"created": mark.created - 3600})
    assert not reused.alive


def test_a_state_whose_pid_is_another_process_now_is_stale_and_that_process_is_spared(tmp_path: Path) -> None:
    reused = ProcessMark(name="supervisor", pid=os.getpid(), created=1.0)
    write_state(tmp_path, _state(reused, [ProcessMark(name="valkey", pid=os.getppid(), created=1.0)]))
    assert status(tmp_path) is None
    report = stop(tmp_path)
    assert not report.stopped
    assert "already ended" in report.message
    assert psutil.pid_exists(os.getppid())
    assert not (tmp_path / STATE_FILE).exists()


def test_stopping_where_nothing_runs_says_so_every_time(tmp_path: Path) -> None:
    for _ in range(2):
        report = stop(tmp_path)
        assert not report.stopped
        assert str(tmp_path) in report.message
    assert status(tmp_path) is None


def test_a_process_does_not_stop_its_own_stack_from_outside(tmp_path: Path) -> None:
    write_state(tmp_path, _state(ProcessMark.of("supervisor", os.getpid())))
    with pytest.raises(EmbeddedError, match="very process"):
        stop(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"supervisor": {"pid": -1}}'])
def test_a_state_file_that_is_none_is_named_in_the_error(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(EmbeddedError, match=STATE_FILE):
        read_state(tmp_path)


def test_keeping_data_with_a_broker_that_keeps_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="memory only"):
        EmbeddedStack(tmp_path, broker="tansu", persist=True)
