"""Simulations as processes: one at a time, told when they fail, stopped when asked."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from console.errors import ConsoleError
from console.web.simulations import Simulations, State, Try

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def running(code: str) -> Callable[[Path, str], list[str]]:
    return lambda draft, since: [sys.executable, "-c", code, str(draft), since]


async def ended(one: Try) -> Try:
    assert one.task is not None
    await asyncio.wait([one.task], timeout=30)
    return one


async def test_a_simulation_that_fails_says_what_the_command_said() -> None:
    code = "import sys; print('nearline: rules: no such topic.', file=sys.stderr); sys.exit(2)"
    one = await ended(Simulations(30, running(code)).start("x", "1h", "ann", 0))
    assert (one.state, one.words) == (State.FAILED, "rules: no such topic.")


async def test_a_simulation_gets_the_draft_and_the_span() -> None:
    code = "import sys; sys.exit(open(sys.argv[1]).read() + sys.argv[2])"
    one = await ended(Simulations(30, running(code)).start("my draft", "6h", "ann", 0))
    assert one.words == "my draft6h"


async def test_what_is_no_report_is_a_failure() -> None:
    one = await ended(Simulations(30, running("print('{}')")).start("x", "1h", "ann", 0))
    assert one.state is State.FAILED
    assert "could not be run" in one.words


async def test_a_simulation_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    one = await ended(Simulations(0.3, running("import time; time.sleep(600)")).start("x", "1h", "ann", 0))
    assert one.state is State.FAILED
    assert "longer than 0.3 s" in one.words


async def test_only_one_runs_at_a_time_and_it_can_be_stopped() -> None:
    simulations = Simulations(60, running("import time; time.sleep(600)"))
    one = simulations.start("x", "1h", "ann", 0)
    with pytest.raises(ConsoleError, match="by ann is running, over the last hour"):
        simulations.start("y", "1h", "bob", 0)
    await asyncio.sleep(0)
    await simulations.stop(one)
    assert one.state is State.STOPPED
    assert simulations.get(one.id) is one
    other = simulations.start("y", "24h", "bob", 0)
    await simulations.close()
    assert other.ended is not None


async def test_a_span_that_is_none_is_refused() -> None:
    with pytest.raises(ConsoleError, match="is no span"):
        Simulations(1).start("x", "9y; rm", "ann", 0)
