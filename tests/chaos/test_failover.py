"""Three Kafka nodes, of which any one may be lost: nodes that lead partitions die while events flow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .checker import check
from .conftest import opened
from .driver import DENSE_RULES, Plan, drive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .servers import Servers

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def three_nodes(tmp_path: Path) -> Iterator[Servers]:
    yield from opened(tmp_path / "servers", nodes=3)


def test_a_broker_node_that_dies_takes_no_trigger_with_it_and_fires_none_twice(
    three_nodes: Servers, shopping: Sequence[dict[str, Any]], tmp_path: Path
) -> None:
    history = tmp_path / "history.jsonl.gz"
    faults = ("broker_node", "kill", "broker_node")
    drive(Plan(2, 2, 250.0, DENSE_RULES, {}, faults), three_nodes, shopping, history)
    verdict = check(history)
    assert verdict.good, json.dumps(verdict.summary(), indent=1)
    figures = verdict.figures
    assert figures["fault:kill worker while a broker node is away"] >= 1
    assert figures["refused to start"] == 0  # two nodes answer
    for what in ("kill broker node", "partitions have other leaders", "events flow without the node"):
        assert figures[f"fault:{what}"] == 2, json.dumps(verdict.summary(), indent=1)
    assert figures["triggers"] > 50
    assert figures["activities compared"] > 30
    assert figures["ties"] == 0
