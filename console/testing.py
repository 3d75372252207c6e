"""Pytest fixtures for a shop's own captures: a replay that must come to what it came to before.

Nothing is loaded unless it is asked for: name the module in the project's top ``conftest.py``, or in its settings ::

    pytest_plugins = ["console.testing"]            # conftest.py
    addopts = "-p console.testing"                  # or [tool.pytest.ini_options]

and write a test ::

    def test_friday_gives_the_same_slates(assert_same_slates):
        assert_same_slates("captures/friday", cassette="captures/friday.cassette", rules="rules.yaml")

The golden lies beside the capture, as ``friday.golden.jsonl.gz``. ``pytest --update-goldens`` writes it.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # a stash key names it at run time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stream.replay.comparing.difference import Difference
    from stream.replay.replaying import Setup

__all__ = ["AssertSameSlates", "assert_same_slates", "replay_setup"]

_WRITTEN: pytest.StashKey[list[Path]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option ``--update-goldens``."""
    parser.getgroup("nearline").addoption(
        "--update-goldens",
        action="store_true",
        help="write the goldens of replays from what the replays come to now, asking the model for what a "
        "cassette lacks",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Where written goldens are noted."""
    config.stash[_WRITTEN] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the goldens that were written: they belong into a review."""
    for path in config.stash[_WRITTEN]:
        terminalreporter.write_line(f"golden written: {path}")


class AssertSameSlates:
    """What the fixture ``assert_same_slates`` gives.

    Args:
        setup: settings to replay under.
        folder: where relative paths begin: the test's.
        scratch: where runs are kept.
        written: goldens that were written; None to write none.
    """

    def __init__(self, setup: Setup, folder: Path, scratch: Path, written: list[Path] | None) -> None:
        self._setup = setup
        self._folder = folder
        self._scratch = scratch
        self._written = written
        self._runs = 0

    def __call__(
        self,
        capture: str | Path,
        golden: str | Path | None = None,
        *,
        cassette: str | Path | None = None,
        rules: str | Path | None = None,
        index: str | Path | None = None,
        model: bool = True,
        slates: bool = True,
        users: Collection[str] | None = None,
        tolerances: Mapping[str, float] | None = None,
        horizon_s: float = 86_400.0,
    ) -> Difference:
        """Replay a capture and fail the test where it comes to something else than its golden says.

        Args:
            capture: folder of the capture; relative paths begin at the test's folder.
            golden: its file, ``.jsonl`` or ``.jsonl.gz``; beside the capture if not given.
            cassette: the model's recorded calls. The replay is strict: a call that is missing fails the test. Without
                one the configured model is asked.
            rules: rules file; those recorded if not given.
            index: folder of the built catalogue, in place of the configured one.
            model: without, demands are written by code.
            slates: without, the triggers alone are compared: neither model nor catalogue is needed.
            users: only these shoppers.
            tolerances: how far each metric may be off, such as ``{"overlap.20": 0.05, "hits.order": 0.01}``; metrics that
                are not named may be anything. Without it triggers, demands and slates must be the same.
            horizon_s: how long after a trigger clicks and orders count.

        Returns:
            The difference, for assertions of one's own.

        Raises:
            NearlineError: the capture cannot be replayed, or there is no golden.
        """
        from stream.replay.calls import Mode  # noqa: PLC0415  # pytest starts without all this
        from stream.replay.comparing.expected import check, told  # noqa: PLC0415
        from stream.replay.replaying import Setup, Wish  # noqa: PLC0415

        captured = self._folder / capture
        kept = (
            self._folder / golden
            if golden is not None
            else captured.with_name(f"{captured.name}.golden.jsonl.gz")
        )
        update = self._written is not None
        setup = self._setup
        if index is not None:
            found = setup.index.model_copy(update={"catalog": self._folder / index})
            setup = Setup(setup.stream, setup.agents, found)
        mode = Mode.OFF if cassette is None else Mode.REPLAY if update else Mode.STRICT
        run = self._scratch / f"replay-{self._runs}" / "run"
        self._runs += 1
        wish = Wish(
            capture=captured,
            run=run,
            rules=self._folder / rules if rules is not None else None,
            users=frozenset(users) if users is not None else None,
            slates=slates,
            model=model,
            cassette=self._folder / cassette if cassette is not None else None,
            mode=mode,
        )
        outcome = check(setup, wish, kept, tolerances=tolerances, horizon_s=horizon_s, update=update)
        if self._written is not None:
            self._written.append(kept)
        if outcome.breaches:
            pytest.fail(told(outcome, kept, run), pytrace=False)
        return outcome.difference


@pytest.fixture
def replay_setup() -> Setup:
    """The settings that replays run under: those of ``nearline.yaml`` and the environment, unless it is overridden."""
    from console.settings import load_settings  # noqa: PLC0415
    from stream.replay.replaying import Setup  # noqa: PLC0415

    settings = load_settings()
    return Setup(settings.stream, settings.agents, settings.index)


@pytest.fixture
def assert_same_slates(
    request: pytest.FixtureRequest, tmp_path: Path, replay_setup: Setup
) -> AssertSameSlates:
    """Replays a capture and fails where it comes to something else than its golden; see :class:`AssertSameSlates`."""
    config = request.config
    written = config.stash[_WRITTEN] if config.getoption("--update-goldens") else None
    return AssertSameSlates(replay_setup, request.path.parent, tmp_path, written)
