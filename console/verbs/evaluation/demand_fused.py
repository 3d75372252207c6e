"""Demands fused with behaviour by a ranker that learnt at earlier moments, of students that had not seen what came then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.errors import ConsoleError
from console.verbs.evaluation.demand_writing import Writer, shoppers_of
from console.verbs.evaluation.purchases import moment_of, student_cutoff
from index.evaluate.demand import measure, with_new
from index.evaluate.demand_fusion import PARTS, Scene, brought, learn
from index.evaluate.metrics import bootstrap
from index.evaluate.slate import split
from index.ranking.features import Knowledge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agents import AgentSettings
    from console.verbs.evaluation.demand_writing import Written
    from console.verbs.evaluation.purchases import Bought
    from index.encoders.encoder import Vectors
    from index.evaluate.demand import Answers, Rows
    from index.evaluate.slate import Split, Task

__all__ = ["Fusion"]

# What a student wrote at its own cutoff, and two weeks later, when some of the catalogue is newer than it is.
_GAPS: Final = (0, 14)
# Nobody comes back in a few days.
_LEAST_DAYS: Final = 7
_DAY_MS: Final = 86_400_000
_METRICS: Final = ("HR@20", "NDCG@20", "Recall@20", "HR@50", "NDCG@50", "Recall@50")


class Fusion:
    """Learns from earlier students, and fuses.

    Args:
        bought: The log with its items.
        cut: The log at the cutoff; nothing later teaches.
        vectors: (items, d) of the titles.
        answers: Of the channel that answers demands.
        settings: Of the agents; each student takes its own place in them.
        queries: Most demands of a shopper.
        seed: Of what is drawn.
        tell: Told what is being done.
    """

    def __init__(
        self,
        bought: Bought,
        cut: Split,
        vectors: Vectors,
        answers: Answers,
        settings: AgentSettings,
        *,
        queries: int,
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self._bought = bought
        self._cut = cut
        self._vectors = vectors
        self._answers = answers
        self._settings = settings
        self._queries = queries
        self._seed = seed
        self._tell = tell
        self._lessons: list[Scene] = []
        self._knowledge: Knowledge | None = None

    def learn_from(self, students: Sequence[Path]) -> None:
        """Make the scenes of earlier students.

        Raises:
            ConsoleError: If a student is not of before the cutoff.
            NearlineError: If one cannot be loaded.
        """
        from agents import open_runtime  # noqa: PLC0415  # brings torch

        log = self._bought.log.before(self._cut.cutoff)
        for folder in students:
            learnt = moment_of(student_cutoff(folder))
            if learnt >= self._cut.cutoff:
                raise ConsoleError(
                    f"The student {folder} has seen purchases up to the cutoff or later.",
                    way_out="Give --earlier students that were prepared with earlier cutoffs.",
                )
            own = self._settings.student.model_copy(update={"model": str(folder)})
            agents = self._settings.model_copy(update={"student": own})
            writer = Writer(open_runtime(agents, self._bought.on_offer()), agents)
            for gap in _GAPS:
                moment = learnt + gap * _DAY_MS
                if moment > self._cut.cutoff - _LEAST_DAYS * _DAY_MS:
                    continue
                self._tell(f"{folder.name}: {gap} days after its cutoff")
                cut = split(log, moment)
                task = with_new(cut, log)
                titles = self._bought.titles
                writer.offer(self._bought.on_offer(task.offered))
                shoppers = shoppers_of(task.shoppers, task.users.tolist(), log, titles)
                knowledge = Knowledge(cut.history, moment, self._vectors)
                self._lessons.append(self._scene(knowledge, task, writer.write(shoppers, self._tell)))

    def report(self, task: Task, written: Written, beside: dict[str, Rows]) -> dict[str, Any]:
        """The fused slates of the shoppers at the cutoff, and how they differ from each other and from single channels.

        Args:
            task: NOVEL or LISTED.
            written: Their demands.
            beside: Slates to compare with.
        """
        if self._knowledge is None:
            self._tell("what behaviour knows at the cutoff")
            self._knowledge = Knowledge(self._cut.history, self._cut.cutoff, self._vectors)
        scene = self._scene(self._knowledge, task, written)
        slates = {**beside}
        for part in PARTS:
            self._tell(f"learning to fuse {part}")
            slates[f"ranker: {part}"] = scene.slates(learn(self._lessons, part, seed=self._seed), part)
        measured = {
            name: measure(rows, task, category=self._bought.category, seed=self._seed)
            for name, rows in slates.items()
        }
        *_, last = [f"ranker: {part}" for part in PARTS]
        return {
            "shoppers": len(task.users),
            "channels": {name: {**one.values, "coverage@50": one.coverage} for name, one in measured.items()},
            "differences": {
                f"{last} less {name}": {
                    metric: bootstrap(measured[last].each[metric] - one.each[metric], seed=self._seed)
                    for metric in _METRICS
                }
                for name, one in measured.items()
                if name != last
            },
        }

    def _scene(self, knowledge: Knowledge, task: Task, written: Written) -> Scene:
        sure = [[demand.confidence for demand in one.demands][: self._queries] for one in written.sets]
        asked = [one[: self._queries] for one in written.queries]
        return Scene(knowledge, task, brought(self._answers, asked, sure, task))
