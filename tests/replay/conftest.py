"""The goldens' own settings: the defaults, whatever the machine's configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stream.replay.calls import Mode
from tests.replay import make

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.replaying import Setup


@pytest.fixture(scope="session")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue, built from recorded vectors."""
    return make.build(tmp_path_factory.mktemp("bazaar"), Mode.STRICT)


@pytest.fixture
def replay_setup(bazaar: Path) -> Setup:
    return make.setup(bazaar)
