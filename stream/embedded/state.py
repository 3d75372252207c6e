"""The state file of a running stack, and whether what it says is still true."""

from __future__ import annotations

from datetime import datetime  # pydantic resolves the annotation at run time
from pathlib import Path
from typing import Literal, Self

import psutil
from pydantic import BaseModel, Field, ValidationError

from nearline import written_whole
from stream.embedded.errors import EmbeddedError

__all__ = [
    "STATE_FILE",
    "BrokerKind",
    "ProcessMark",
    "StackState",
    "forget_state",
    "read_state",
    "write_state",
]

STATE_FILE = "stack.json"

BrokerKind = Literal["tansu", "kafka"]

# A process keeps its creation time to a few hundredths of a second, and a pid comes round again
# only after tens of thousands of others.
_SAME_BIRTH_S = 1.0


class ProcessMark(BaseModel):
    """A process, told apart from a later one with the same pid by when it was created."""

    name: str = Field(description="What the process is, such as valkey.")
    pid: int = Field(description="Its process id.", gt=0)
    created: float = Field(description="When it was created, seconds since 1970.")

    @classmethod
    def of(cls, name: str, pid: int) -> Self:
        """Mark a process that runs now; raises ``psutil.NoSuchProcess`` when it has ended."""
        return cls(name=name, pid=pid, created=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs; None when it ended or the pid now is another's."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_BIRTH_S
            # A zombie has ended; only its parent has not looked yet.
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.find() is not None


class StackState(BaseModel):
    """What a running stack tells others: addresses, processes, when it started."""

    format: Literal[1] = Field(default=1, description="Version of this file's format.")
    supervisor: ProcessMark = Field(description="The process whose end ends the stack.")
    children: list[ProcessMark] = Field(description="The servers, in the order they were started.")
    broker: BrokerKind = Field(description="Which broker runs.")
    bootstrap: str = Field(description="The broker's address for clients, HOST:PORT.")
    redis_url: str = Field(description="URL of Valkey.")
    log_dir: Path = Field(description="Folder with one log file a server.")
    persist: bool = Field(description="Whether data is kept for the next start.")
    started_at: datetime = Field(description="When all servers were ready, UTC.")

    @property
    def alive(self) -> bool:
        """Whether the supervisor still runs."""
        return self.supervisor.alive


def read_state(run_dir: Path) -> StackState | None:
    """Read ``run_dir/stack.json``; None when there is none.

    Raises:
        EmbeddedError: the file is not a stack's state.
    """
    path = run_dir / STATE_FILE
    try:
        return StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as error:
        msg = f"{path} cannot be read as a stack's state: {str(error).splitlines()[0]}."
        raise EmbeddedError(
            msg, way_out="End the stack's processes if any still run, and remove the file."
        ) from error


def write_state(run_dir: Path, state: StackState) -> None:
    """Write ``run_dir/stack.json`` so that a reader sees the old one or the new one, never a part."""
    with written_whole(run_dir / STATE_FILE) as beside:
        beside.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")


def forget_state(run_dir: Path) -> None:
    """Remove ``run_dir/stack.json`` if it is there."""
    (run_dir / STATE_FILE).unlink(missing_ok=True)
