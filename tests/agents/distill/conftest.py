"""Pairs of a shop with two kinds of shoppers, and a small student of it that is really trained."""

from pathlib import Path

import pytest

from agents.distill.pairs import Pairs
from tests.agents.distill.shop import pairs_in, student_in


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    return pairs_in(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="session")
def student(pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return student_in(tmp_path_factory.mktemp("student"), pairs)
