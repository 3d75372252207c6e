"""Titles that the catalogue gains and loses while a worker runs, up to what the student writes."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from agents import AgentSettings, open_runtime, prompts
from agents.distill.form import PROMPT
from agents.distill.pairs import Pair, read_pairs, write_pairs
from agents.distill.settings import TrainSettings
from agents.distill.train import train
from agents.runtime import Generation, Request
from agents.structured import queries
from stream.infer.titles import TitlesKept, titles_on_offer

pytestmark = pytest.mark.real

_SHELF = [f"garden {thing}" for thing in ("spade", "rake", "hose", "gloves", "pots", "seeds")]


class Shelves:
    """A catalogue of titles, some of which are not on offer."""

    def __init__(self, titles: list[str], gone: frozenset[str] = frozenset()) -> None:
        self._titles, self._gone = titles, gone

    def __len__(self) -> int:
        return len(self._titles)

    def offered(self, rows: np.ndarray) -> np.ndarray:
        return np.array([row for row in rows.tolist() if self._titles[row] not in self._gone], dtype=np.int64)

    def short_title(self, row: int) -> str:
        return self._titles[row]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("titles")
    made = []
    for at in range(200):
        had = [at % 6, (at // 6 + at) % 6]
        wants = [each for each in range(6) if each not in had]
        made.append(Pair(tuple(dict.fromkeys(had)), tuple(wants), (1.0,) * len(wants)))
    write_pairs(folder / "pairs", dict.fromkeys(_SHELF, 5), made, {})
    small = TrainSettings(
        vocabulary=600, words=400, hidden=64, layers=1, feed_forward=64, warm_steps=4, steps=4, batch=8, warm_batch=8,
        threads=1,
    )  # fmt: skip
    train(read_pairs(folder / "pairs"), small, folder / "student")
    return folder / "student"


def test_titles_on_offer_are_told_once_each_without_what_is_gone() -> None:
    shop: Any = Shelves(["spade", "rake", "spade", "hose"], frozenset({"hose"}))
    assert titles_on_offer(shop) == ("spade", "rake")


async def test_the_student_learns_of_new_titles_and_forgets_removed_ones_while_it_runs(student: Path) -> None:
    settings = AgentSettings.model_validate(
        {"runtime": "student", "student": {"model": str(student), "threads": 1, "new_share": 0.5}}
    )
    runtime = open_runtime(settings, _SHELF)
    shop = SimpleNamespace(now=SimpleNamespace(catalog=Shelves(_SHELF)))
    kept = TitlesKept(runtime, shop)  # type: ignore[arg-type]  # the little of a recall that is asked

    async def written() -> set[str]:
        request = Request(prompts.load(PROMPT), "bought: garden spade", queries(12, 48), 64, 0.0, 1)
        (answer,) = await runtime.generate([request])
        assert isinstance(answer, Generation)
        return set(request.structure.parse(answer.text))

    assert await written() <= set(_SHELF)
    assert await kept.keep()
    assert set(runtime.usual(4)) < set(_SHELF)  # type: ignore[attr-defined]  # of a student
    assert not await kept.keep(), "nothing has changed"
    shop.now = SimpleNamespace(catalog=Shelves([*_SHELF, "garden swing"], frozenset({"garden hose"})))
    for _ in range(600):
        if await kept.keep():
            break
        await asyncio.sleep(0.05)
    now = await written()
    assert "garden swing" in now
    assert "garden hose" not in now
    await runtime.close()


async def test_a_runtime_that_writes_freely_is_told_nothing() -> None:
    kept = TitlesKept(SimpleNamespace(), SimpleNamespace(now=object()))  # type: ignore[arg-type]
    assert not await kept.keep()
