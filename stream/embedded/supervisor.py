"""Starts servers and workers as children and makes sure that none outlives it.

A child ends with its supervisor in every case: in order on `Supervisor.stop`, at the exit of the
interpreter, and through the kernel when the supervisor is killed (see `stream.embedded.leash`).
A child that ends by itself is reported by name with its last log lines; nothing is restarted.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stream.embedded import leash
from stream.embedded.errors import ChildDiedError, ChildNotReadyError, EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType, TracebackType

__all__ = ["Child", "ChildSpec", "Supervisor", "last_lines"]

_POLL_S = 0.05


@dataclass(frozen=True)
class ChildSpec:
    """What to run and how to tell that it is up.

    Attributes:
        name: unique within a supervisor; also the log file's stem.
        argv: command and arguments; no shell is involved.
        ready: called every 50 ms until true; must return within about a second and not raise.
            None: the child counts as ready once it runs.
        ready_timeout_s: after this the child is stopped and `ChildNotReadyError` raised.
        stop_grace_s: seconds between SIGTERM and SIGKILL.
        env: added to, and winning over, the supervisor's environment.
        cwd: working directory; the supervisor's own when None.
    """

    name: str
    argv: Sequence[str]
    ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 30.0
    stop_grace_s: float = 10.0
    env: Mapping[str, str] | None = None
    cwd: Path | None = None


@dataclass(frozen=True)
class Child:
    """A running child: the head of a process group of its own, its output in ``log``."""

    spec: ChildSpec
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Process id, and process group id, of the child."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the child has not ended yet."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child's whole process group; a group that is gone is left alone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class _Spawner:
    """Forks every child from one thread that lives as long as the process.

    The leash is tied to the thread that forks, not to the process: a child forked from a short-lived
    thread would be killed when that thread ends (prctl(2)).
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        self._start = threading.Lock()
        self._owner = 0

    def spawn(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._start:
            # A forked copy of this process has the object but not the thread.
            if self._owner != os.getpid():
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._work, name="nearline-spawner", daemon=True).start()
                self._owner = os.getpid()
        result: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, result))
        return result.result()

    def _work(self) -> None:
        while True:
            job, result = self._jobs.get()
            try:
                result.set_result(job())
            except BaseException as error:  # noqa: BLE001  # handed to the caller's thread whatever it is
                result.set_exception(error)


_SPAWNER = _Spawner()


class Supervisor:
    """Runs children with a log file each, and ends them with itself.

    Usable as a context manager. Not for use from several threads at once.
    """

    def __init__(self, log_dir: Path) -> None:
        if not sys.platform.startswith("linux"):
            msg = f"The embedded stack ties its children to its own life with a Linux call; this is {sys.platform}."
            raise EmbeddedError(msg, way_out="Use an external Kafka and Redis by their URLs.")
        self.log_dir = log_dir
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def children(self) -> Mapping[str, Child]:
        """Children by name, in the order they were started; a dead one stays until it is stopped."""
        return dict(self._children)

    def start(self, *specs: ChildSpec) -> None:
        """Start the children side by side and wait until all of them are ready.

        Raises:
            ChildDiedError: one ended before it was ready.
            ChildNotReadyError: one did not answer within its time.
            EmbeddedError: a child of that name already runs.

        On an error, and on an interrupt, the children of this call are stopped again.
        """
        try:
            for spec in specs:
                self._launch(spec)
            for spec in specs:
                self._await_ready(self._children[spec.name])
        except BaseException:
            self.stop(*(spec.name for spec in specs if spec.name in self._children))
            raise

    def check(self) -> None:
        """Raise `ChildDiedError` if a child has ended though nobody asked it to."""
        for child in self._children.values():
            if not child.alive:
                raise _died(child)

    def stop(self, *names: str) -> None:
        """End the named children, or all: SIGTERM, then SIGKILL after each one's grace.

        All are signalled before any is waited for, the last started first. Ended ones are forgotten.
        """
        chosen = [self._children[name] for name in (names or tuple(self._children))][::-1]
        for child in chosen:
            child.signal(signal.SIGTERM)
        begun = time.monotonic()
        for child in chosen:
            left = max(0.0, begun + child.spec.stop_grace_s - time.monotonic())
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=left)
            self._bury(child)

    def kill(self, *names: str) -> None:
        """End the named children, or all, with SIGKILL: what a crash looks like."""
        for child in [self._children[name] for name in (names or tuple(self._children))]:
            self._bury(child)

    def run_forever(self, *, on_running: Callable[[], None] | None = None) -> None:
        """Stay in the foreground until SIGTERM or SIGINT, then stop all children.

        Must be called from the main thread. ``on_running`` is called once signals are listened to.

        Raises:
            ChildDiedError: a child ended by itself; the others have been stopped.
        """
        ending = threading.Event()

        def end(_number: int, _frame: FrameType | None) -> None:
            ending.set()

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            if on_running is not None:
                on_running()
            # The wait is cut into pieces because a child's death wakes nobody.
            while not ending.wait(0.2):
                self.check()
        finally:
            try:
                self.stop()
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _launch(self, spec: ChildSpec) -> None:
        if spec.name in self._children:
            msg = f"A child named {spec.name} already runs (pid {self._children[spec.name].pid})."
            raise EmbeddedError(msg, way_out="Stop it first, or give the new one another name.")
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log = self.log_dir / f"{spec.name}.log"
        argv = [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid()), *spec.argv]
        with log.open("ab") as output:
            process = _SPAWNER.spawn(
                lambda: subprocess.Popen(  # noqa: S603  # runs what its caller names, without a shell
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=spec.cwd,
                    env={**os.environ, **spec.env} if spec.env else None,
                    start_new_session=True,
                )
            )
        if not self._children:
            atexit.register(self.stop)
        self._children[spec.name] = Child(spec, process, log)

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + child.spec.ready_timeout_s
        while True:
            if not child.alive:
                raise _died(child)
            if child.spec.ready is None or child.spec.ready():
                return
            if time.monotonic() > deadline:
                msg = f"{child.spec.name} did not answer within {child.spec.ready_timeout_s:g} s.{_tail(child.log)}"
                raise ChildNotReadyError(msg, way_out=f"Its log is {child.log}.")
            time.sleep(_POLL_S)

    def _bury(self, child: Child) -> None:
        # Also after an orderly end: a process that the child left behind in its group goes with it.
        child.signal(signal.SIGKILL)
        child.process.wait()
        self._children.pop(child.spec.name, None)
        if not self._children:
            atexit.unregister(self.stop)


def last_lines(log: Path, count: int = 8) -> list[str]:
    """Return the last ``count`` non-empty lines of a log file; none when it cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _tail(log: Path) -> str:
    lines = last_lines(log)
    return " Its last words:\n  " + "\n  ".join(lines) + "\n" if lines else " It wrote nothing to its log."


def _died(child: Child) -> ChildDiedError:
    code = child.process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return ChildDiedError(
        f"{child.spec.name} (pid {child.pid}) {how}.{_tail(child.log)}",
        name=child.spec.name,
        returncode=code,
        way_out=f"Its whole log is {child.log}.",
    )
