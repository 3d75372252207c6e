from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.errors import ConsoleError
from console.verbs.evaluation.discovery_plot import draw
from index.evaluate.discovery import AtShare
from index.evaluate.metrics import Estimate

if TYPE_CHECKING:
    from pathlib import Path


def at(share: float, ndcg: float) -> AtShare:
    return AtShare(
        share, share, 0.0, 0, Estimate(ndcg, ndcg - 0.01, ndcg + 0.01), Estimate(0.0, 0.0, 0.0),
        Estimate(0.7, 0.6, 0.8), 0.4, {"new": share / 2, "trending": share / 3, "any": share}, float("nan"), 9.0,
    )  # fmt: skip


def test_the_picture_shows_every_share_by_number_and_every_kind_by_name(tmp_path: Path) -> None:
    path = tmp_path / "discovery.svg"
    draw([at(0.0, 0.12), at(0.2, 0.11)], "NOVEL, log.csv", path)
    drawn = path.read_text(encoding="utf-8")
    for text in ("NOVEL, log.csv", "NDCG@20", "0%", "20%", "new", "trending"):
        assert f"<!-- {text} -->" in drawn


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match="cannot be written"):
        draw([at(0.0, 0.12)], "title", tmp_path / "missing" / "discovery.png")
