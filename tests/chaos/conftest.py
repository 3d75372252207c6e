"""Servers for the runs of this folder, and the shopping that is played to them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import pytest

from stream.embedded.errors import PartMissingError

from .servers import Servers
from .shopping import load_shopping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def opened(folder: Path, nodes: int = 1) -> Iterator[Servers]:
    """Running servers, for a fixture to yield from; the test is skipped where a part of them is missing."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the servers are away on purpose
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        servers = Servers(folder, nodes).__enter__()
    except PartMissingError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            raise
        pytest.skip(str(error))
    try:
        yield servers
    finally:
        servers.__exit__(None, None, None)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    yield from opened(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="package")
def shopping() -> list[dict[str, Any]]:
    return load_shopping()
