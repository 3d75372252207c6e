"""Simulations started from the page: ``nearline rules simulate`` as a process of its own, one at a time.

A process, because reading hours of events takes all of a core for minutes, and the page must answer meanwhile; and
because it can be stopped. It runs with the lowest claim on the processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console.errors import ConsoleError
from stream.simulate.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SPANS", "Simulations", "State", "Try"]

SPANS = {
    "1h": "the last hour",
    "6h": "the last 6 hours",
    "24h": "the last 24 hours",
    "all": "all the topics hold",
}
"""What a simulation may read, as ``--since`` has it and in words."""

_KEPT = 8
_WORDS = 2_000


class State(StrEnum):
    """How far a simulation is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Try:
    """One simulation of a draft. ``began`` and ``ended`` are wall clock, milliseconds."""

    id: str
    who: str
    since: str
    text: str
    against: int
    began: float
    state: State = State.RUNNING
    ended: float | None = None
    report: Report | None = None
    words: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Simulations:
    """Starts, keeps and stops simulations. The newest eight are kept in memory.

    Args:
        longest_s: a simulation is given up after this.
        command: the command line of one, from the draft's file and its span; replaced in tests of its failing.
    """

    def __init__(self, longest_s: float, command: Callable[[Path, str], list[str]] | None = None) -> None:
        self._longest_s = longest_s
        self._command = command or _command
        self._tries: dict[str, Try] = {}

    def start(self, text: str, since: str, who: str, against: int) -> Try:
        """Begin a simulation over ``since`` (a key of :data:`SPANS`) beside the rules in force, ``against``.

        Raises:
            ConsoleError: one is running, or the span is unknown.
        """
        if since not in SPANS:
            raise ConsoleError(f"{since!r} is no span.", way_out=f"Choose one of {', '.join(SPANS)}.")
        running = next((one for one in self._tries.values() if one.state is State.RUNNING), None)
        if running is not None:
            raise ConsoleError(
                f"A simulation by {running.who} is running, over {SPANS[running.since]}.",
                way_out="Wait for its end, or stop it.",
            )
        one = Try(secrets.token_urlsafe(9), who, since, text, against, time.time() * 1000)
        self._tries[one.id] = one
        while len(self._tries) > _KEPT:
            del self._tries[next(iter(self._tries))]
        one.task = asyncio.create_task(self._run(one))
        return one

    def get(self, name: str) -> Try | None:
        """A simulation by its id; None if there is none (any more)."""
        return self._tries.get(name)

    def newest(self) -> Try | None:
        """The one begun last."""
        return next(reversed(self._tries.values()), None)

    async def stop(self, one: Try) -> None:
        """Stop a simulation that runs."""
        if one.task is not None and not one.task.done():
            one.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one.task
            if one.state is State.RUNNING:  # stopped before its first step
                one.state, one.ended = State.STOPPED, time.time() * 1000

    async def close(self) -> None:
        """Stop what runs."""
        for one in list(self._tries.values()):
            await self.stop(one)

    async def _run(self, one: Try) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="nearline-simulate-") as folder:
                draft = Path(folder) / "draft.yaml"
                draft.write_text(one.text, encoding="utf-8")
                code, out, err = await self._process(self._command(draft, one.since))
            if code == 0:
                one.report = msgspec.json.decode(out, type=Report)
                one.state = State.DONE
            else:
                said = err.decode(errors="replace").strip()[-_WORDS:]
                one.state = State.FAILED
                one.words = said.removeprefix("nearline: ") or f"It ended with {code} and said nothing."
        except TimeoutError:
            one.state = State.FAILED
            one.words = (
                f"It took longer than {self._longest_s:g} s. Choose fewer hours, or raise console.simulate_s."
            )
        except (OSError, msgspec.DecodeError) as error:
            one.state, one.words = State.FAILED, f"It could not be run: {error}."
        except asyncio.CancelledError:
            one.state = State.STOPPED
            raise
        finally:
            one.ended = time.time() * 1000

    async def _process(self, command: list[str]) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), self._longest_s)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out, err


def _command(draft: Path, since: str) -> list[str]:
    nice = ["nice", "-n", "15"] if shutil.which("nice") else []
    return [
        *nice, sys.executable, "-m", "console", "rules", "simulate", str(draft),
        "--since", since, "--against", "current", "--json",
    ]  # fmt: skip
