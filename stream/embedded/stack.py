"""A broker and a Valkey on loopback under one supervisor: what ``nearline up`` and the demo run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TextIO

import psutil

from stream.embedded.errors import EmbeddedError, StackRunningError
from stream.embedded.kafka import KafkaCluster
from stream.embedded.ports import LOOPBACK, free_ports, require_free
from stream.embedded.state import BrokerKind, ProcessMark, StackState, forget_state, read_state, write_state
from stream.embedded.supervisor import ChildSpec, Supervisor
from stream.embedded.tansu import tansu_spec
from stream.embedded.valkey import valkey_spec, valkey_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["EmbeddedStack", "StopReport", "status", "stop"]


class EmbeddedStack:
    """A broker and a Valkey, on loopback only, that end with the process that started them.

    Use it as a context manager beside other work, or `run_forever` in the foreground. While it runs,
    ``run_dir/stack.json`` tells others where it is (`status`) and lets them end it (`stop`).

    Args:
        run_dir: state file, logs and data; created.
        broker_port: port of the broker; a free one when None.
        redis_port: port of Valkey; a free one when None.
        broker: ``tansu`` (in memory, starts in milliseconds) or ``kafka`` (Apache Kafka, one node; needs
            Java 17 and, the first time, Maven).
        persist: keep data in ``run_dir`` for the next start; needs ``kafka``. Without it every start is empty.

    Raises:
        EmbeddedError: ``persist`` with ``tansu``.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        broker_port: int | None = None,
        redis_port: int | None = None,
        broker: BrokerKind = "tansu",
        persist: bool = False,
    ) -> None:
        if persist and broker == "tansu":
            # Checkpoints that outlive the topics they count in would point past their ends.
            msg = "The broker tansu keeps topics in memory only, so nothing can be kept for the next start."
            raise EmbeddedError(msg, way_out="Take the broker kafka, or leave persist off.")
        self.run_dir = run_dir
        self.broker: BrokerKind = broker
        self.persist = persist
        self._wanted_broker_port = broker_port
        self._wanted_redis_port = redis_port
        self.supervisor = Supervisor(run_dir / "logs")
        self._state: StackState | None = None
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> StackState:
        """What runs where.

        Raises:
            EmbeddedError: the stack does not run.
        """
        if self._state is None:
            raise EmbeddedError("The embedded stack does not run.", way_out="Start it first.")
        return self._state

    @property
    def bootstrap(self) -> str:
        """The broker's address for clients, ``127.0.0.1:PORT``."""
        return self.state.bootstrap

    @property
    def redis_url(self) -> str:
        """URL of Valkey's database 0."""
        return self.state.redis_url

    def start(self) -> StackState:
        """Start both servers and return once both answer.

        Raises:
            EmbeddedError: ``run_dir`` cannot be written.
            StackRunningError: a stack already runs in ``run_dir``.
            PortInUseError: a port that was asked for is taken.
            PartMissingError: a package, java or mvn is missing.
            ChildDiedError: a server ended while starting; its last log lines are in the message.
            ChildNotReadyError: a server did not answer in time.
        """
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            msg = f"{self.run_dir} cannot be written ({error})."
            raise EmbeddedError(
                msg, way_out="Start in a folder of your own, or name another in `run` (NEARLINE_RUN)."
            ) from error
        try:
            free = free_ports(2)
            redis_port = free[0]
            if self._wanted_redis_port is not None:
                redis_port = require_free(self._wanted_redis_port, purpose="Redis")
            valkey_dir = self._data_dir("valkey")
            specs = [valkey_spec(redis_port, valkey_dir, append_only=self.persist)]
            bootstrap, broker_specs = self._broker(free[1])
            self.supervisor.start(*specs, *broker_specs)
            children = self.supervisor.children.values()
            self._state = StackState(
                supervisor=ProcessMark.of("supervisor", os.getpid()),
                children=[ProcessMark.of(child.spec.name, child.pid) for child in children],
                broker=self.broker,
                bootstrap=bootstrap,
                redis_url=valkey_url(redis_port),
                log_dir=self.supervisor.log_dir.resolve(),
                persist=self.persist,
                started_at=datetime.now(UTC),
            )
            write_state(self.run_dir, self._state)
        except BaseException:
            self.stop()
            raise
        return self._state

    def check(self) -> None:
        """Raise `ChildDiedError` if a server has ended by itself."""
        self.supervisor.check()

    def stop(self) -> None:
        """End both servers and remove the state file; nothing happens when they do not run."""
        try:
            self.supervisor.stop()
        finally:
            if self._lock is not None:
                forget_state(self.run_dir)
                self._lock.close()
                self._lock = None
            self._state = None

    def run_forever(self, *, on_ready: Callable[[StackState], None] | None = None) -> None:
        """Start, call ``on_ready``, stay in the foreground until SIGTERM or SIGINT, then end both servers.

        Must be called from the main thread.

        Raises:
            ChildDiedError: a server ended by itself; the other has been ended too.
        """
        with self:
            state = self.state
            self.supervisor.run_forever(on_running=None if on_ready is None else lambda: on_ready(state))

    def _broker(self, free_port: int) -> tuple[str, list[ChildSpec]]:
        wanted = self._wanted_broker_port
        if self.broker == "kafka":
            cluster = KafkaCluster(
                self._data_dir("kafka"),
                ports=None if wanted is None else [wanted],
                supervisor=self.supervisor,
            )
            return cluster.bootstrap, cluster.specs()
        port = free_port if wanted is None else require_free(wanted, purpose="broker")
        return f"{LOOPBACK}:{port}", [tansu_spec(port)]

    def _data_dir(self, name: str) -> Path:
        path = self.run_dir / name
        if not self.persist:
            shutil.rmtree(path, ignore_errors=True)
        return path

    def _take_lock(self) -> None:
        # Held for the stack's life and let go by the kernel at its end, however it ends; so two starts
        # at once cannot both win, and a file left by a stack that was killed stops nobody.
        lock = (self.run_dir / "stack.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            running = None
            with contextlib.suppress(EmbeddedError):
                running = read_state(self.run_dir)
            who = f" (supervisor pid {running.supervisor.pid}, broker {running.bootstrap})" if running else ""
            msg = f"An embedded stack already runs in {self.run_dir}{who}."
            raise StackRunningError(
                msg, way_out="Use it, stop it with: nearline down, or give another run folder."
            ) from error
        self._lock = lock


@dataclass(frozen=True)
class StopReport:
    """What `stop` found and did.

    Attributes:
        stopped: whether something ran and was ended.
        message: the same in words.
    """

    stopped: bool
    message: str


def status(run_dir: Path) -> StackState | None:
    """Return the state of the stack that runs in ``run_dir``; None when none does.

    A state file whose supervisor has ended, or whose pid now is another process's, counts as none.

    Raises:
        EmbeddedError: the state file cannot be read.
    """
    state = read_state(run_dir)
    return state if state is not None and state.alive else None


def stop(run_dir: Path, *, timeout_s: float = 20.0) -> StopReport:
    """End the stack that runs in ``run_dir``: SIGTERM to its supervisor, SIGKILL after ``timeout_s``.

    Safe to call again, and when nothing runs: the report says so.

    Raises:
        EmbeddedError: the state file cannot be read, or the stack is this very process's.
    """
    state = read_state(run_dir)
    if state is None:
        return StopReport(stopped=False, message=f"No embedded stack runs in {run_dir}.")
    if state.supervisor.pid == os.getpid() and state.alive:
        msg = "The stack belongs to this very process, which cannot end it from outside."
        raise EmbeddedError(msg, way_out="Leave the stack's context, or call its stop().")
    supervisor = state.supervisor.find()
    forced = False
    if supervisor is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor.terminate()
            forced = not _ended([supervisor], timeout_s)
            if forced:
                supervisor.kill()
    # The kernel ends the children of a supervisor that was killed; this is for those it could not reach.
    left = [child for mark in state.children if (child := mark.find()) is not None]
    if left and not _ended(left, 2.0):
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        _ended(left, 5.0)
    forget_state(run_dir)
    if supervisor is None:
        when = f"{state.started_at:%Y-%m-%d %H:%M:%S} UTC"
        message = (
            f"No embedded stack runs in {run_dir}: the one started at {when} had already ended; tidied up."
        )
        return StopReport(stopped=False, message=message)
    how = f" (killed: it did not end within {timeout_s:g} s)" if forced else ""
    names = " and ".join(child.name for child in state.children)
    return StopReport(stopped=True, message=f"Stopped {names} in {run_dir}{how}.")


def _ended(processes: list[psutil.Process], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(_runs(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
