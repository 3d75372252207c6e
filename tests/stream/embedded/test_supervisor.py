from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from stream.embedded.errors import ChildDiedError, ChildNotReadyError, EmbeddedError
from stream.embedded.supervisor import ChildSpec, Supervisor, last_lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


def _python(name: str, code: str, **options: object) -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-u", "-c", code], **options)  # type: ignore[arg-type]  # options of one spec


def _wait_until(condition: object, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]  # a callable
            return True
        time.sleep(0.02)
    return False


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SLEEP = "import time; print('up'); time.sleep(60)"


def test_a_child_runs_in_a_process_group_of_its_own_with_its_output_in_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_python("sleeper", SLEEP))
        child = supervisor.children["sleeper"]
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
        assert _wait_until(lambda: last_lines(tmp_path / "sleeper.log") == ["up"])
    assert _gone(child.pid)
    assert not supervisor.children


def test_a_child_that_dies_is_reported_by_name_with_its_last_words(tmp_path: Path) -> None:
    code = "print('\\n'.join(f'line {i}' for i in range(50))); raise SystemExit(7)"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_python("mayfly", code))
        supervisor.children["mayfly"].process.wait(5)
        with pytest.raises(ChildDiedError) as died:
            supervisor.check()
    assert (died.value.name, died.value.returncode) == ("mayfly", 7)
    assert "mayfly" in str(died.value)
    assert "exit code 7" in str(died.value)
    assert "line 49" in str(died.value)
    assert "line 3\n" not in str(died.value)
    assert str(tmp_path / "mayfly.log") in died.value.way_out


def test_a_child_that_dies_before_it_is_ready_takes_its_companions_of_the_call_with_it(
    tmp_path: Path,
) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_python("kept", SLEEP))
        with pytest.raises(ChildDiedError, match="broken"):
            supervisor.start(
                _python("companion", SLEEP),
                _python("broken", "raise SystemExit(1)", ready=lambda: False),
            )
        assert list(supervisor.children) == ["kept"]
        supervisor.check()


def test_a_child_that_never_answers_is_stopped_and_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ChildNotReadyError, match=r"mute did not answer within 0\.3 s"):
            supervisor.start(_python("mute", SLEEP, ready=lambda: False, ready_timeout_s=0.3))
        assert not supervisor.children


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        spec = ChildSpec("ghost", ["/nowhere/at-all"], ready=lambda: False)
        with pytest.raises(ChildDiedError, match="cannot run /nowhere/at-all"):
            supervisor.start(spec)


def test_two_children_cannot_share_a_name(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_python("one", SLEEP))
        with pytest.raises(EmbeddedError, match="named one already runs"):
            supervisor.start(_python("one", SLEEP))


def test_a_child_deaf_to_sigterm_is_killed_after_its_grace_with_all_of_its_group(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(p.pid); time.sleep(60)"
    )
    supervisor = Supervisor(tmp_path)
    supervisor.start(_python("deaf", code, stop_grace_s=0.3))
    assert _wait_until(lambda: last_lines(tmp_path / "deaf.log"))
    grandchild = int(last_lines(tmp_path / "deaf.log")[0])
    child = supervisor.children["deaf"].pid
    begun = time.monotonic()
    supervisor.stop()
    assert 0.25 < time.monotonic() - begun < 9
    assert _wait_until(lambda: _gone(child) and _gone(grandchild))


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        starter = threading.Thread(target=lambda: supervisor.start(_python("sleeper", SLEEP)))
        starter.start()
        starter.join()
        time.sleep(0.5)
        supervisor.check()


def _supervising_process(tmp_path: Path, ending: str) -> tuple[subprocess.Popen[str], int]:
    # A shell's background job inherits that SIGINT is ignored, and Python then leaves it so.
    code = f"""
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from stream.embedded.supervisor import ChildSpec, Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
supervisor.start(ChildSpec("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"]))
print(supervisor.children["sleeper"].pid, flush=True)
{ending}
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_a_supervising_process_that_is_signalled(
    tmp_path: Path, number: signal.Signals
) -> None:
    process, child = _supervising_process(tmp_path, "time.sleep(60)")
    assert not _gone(child)
    process.send_signal(number)
    process.wait(10)
    assert _wait_until(lambda: _gone(child))


def test_children_end_when_their_program_ends_and_forgot_them(tmp_path: Path) -> None:
    process, child = _supervising_process(tmp_path, "")
    assert process.wait(10) == 0
    assert _wait_until(lambda: _gone(child))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_a_signal_ends_all_in_order_with_exit_code_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    process, child = _supervising_process(tmp_path, "print('ready', flush=True); supervisor.run_forever()")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(10) == 0
    assert _wait_until(lambda: _gone(child))


def test_in_the_foreground_a_child_that_dies_ends_all_and_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(_python("sleeper", SLEEP), _python("mayfly", "import time; time.sleep(0.5)"))
        sleeper = supervisor.children["sleeper"].pid
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(ChildDiedError, match="mayfly"):
            supervisor.run_forever()
        assert signal.getsignal(signal.SIGTERM) is before
        assert _gone(sleeper)
