"""`nearline rank train`: what is learnt from purchases, checked on held-out last weeks and saved with a manifest.

::

    DIR/
      manifest.json       what it was learnt from, its figures, the hashes of the files beside it
      ranker-novel.json   the ranker for slates of what a shopper never bought
      ranker-all.json     the ranker for slates that may offer it again
      neighbours.npz      of each item the partners with the strongest EASE^R weights
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from index.built.manifest import MANIFEST, file_sha256
from index.built.swap import whole_folder
from index.channels.behaviour import LAMBDA, Behaviour, Neighbours, gram
from index.channels.purchases import DAY_MS, date_of
from index.errors import CatalogDamagedError, CatalogError
from index.evaluate.slate import Rule, evaluate, split
from index.ranking.closed_form import quick_ease
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import Fused, Ranker, train
from index.ranking.lessons import Lessons
from index.ranking.live_ranker import LIVE_RANKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from index.channels.purchases import Purchases
    from index.encoders.encoder import Vectors

__all__ = ["HELD_OUT_DAYS", "LEAST_SHOPPERS", "PARTNERS", "Course", "Learnt"]

HELD_OUT_DAYS: Final = 28
"""Two of the steps in which the ranker's earlier moments lie, so that the check's moments are the whole log's too."""

PARTNERS: Final = 200
LEAST_SHOPPERS: Final = 20
"""Shoppers with purchases on two days; with fewer a ranker learns their habits by heart."""

_RULES: Final[tuple[Rule, ...]] = ("novel", "all")
_NEIGHBOURS: Final = "neighbours.npz"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Learnt:
    """What `Course.learn` made, and what serving opens.

    Attributes:
        rankers: By rule.
        neighbours: Partners of each item.
        items: The items' ids, by the number that the neighbours use.
        manifest: As in ``manifest.json``, without the files' hashes before it is saved.
    """

    rankers: dict[Rule, Ranker]
    neighbours: Neighbours
    items: tuple[str, ...]
    manifest: dict[str, Any]

    def save(self, directory: Path) -> None:
        """Write the folder, in place of one that is there, whole or not at all; a live ranker in it stays.

        Raises:
            CatalogError: If it cannot be written, or the place holds something else.
        """
        live = directory / LIVE_RANKER
        if directory.exists() and not ((directory / MANIFEST).is_file() or live.is_file()):
            raise CatalogError(
                f"{directory} is there already and holds no ranking.",
                way_out="Name another folder with --out.",
            )
        try:
            with whole_folder(directory) as beside:
                for rule, ranker in self.rankers.items():
                    ranker.save(beside / f"ranker-{rule}.json")
                self.neighbours.save(beside / _NEIGHBOURS, self.items)
                files = {one.name: file_sha256(one) for one in sorted(beside.iterdir())}
                text = json.dumps({**self.manifest, "files": files}, indent=2, ensure_ascii=False)
                (beside / MANIFEST).write_text(text + "\n", encoding="utf-8")
                if live.is_file():
                    shutil.copy2(live, beside / LIVE_RANKER)
        except OSError as error:
            raise CatalogError(
                f"{directory} cannot be written ({error}).", way_out="Name another folder with --out."
            ) from error

    @classmethod
    def open(cls, directory: Path) -> Learnt:
        """Open what `save` wrote.

        Raises:
            CatalogDamagedError: If a file is missing, altered, or of other features.
        """
        try:
            manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
            files = dict(manifest["files"])
            wrong = [name for name, known in files.items() if file_sha256(directory / name) != known]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CatalogDamagedError(
                f"{directory} holds no readable ranking ({error}).",
                way_out="Train it again: `nearline rank train`.",
            ) from error
        if wrong or manifest.get("format") != _FORMAT:
            raise CatalogDamagedError(
                f"{directory}: {', '.join(wrong) or 'the format'} is not what the manifest says.",
                way_out="Train it again: `nearline rank train`.",
            )
        neighbours, items = Neighbours.load(directory / _NEIGHBOURS)
        rankers = {rule: Ranker.load(directory / f"ranker-{rule}.json") for rule in _RULES}
        return cls(rankers, neighbours, items, manifest)


class Course:
    """Learning from one log and the check of it, which share what they have in common.

    Args:
        log: All order lines.
        vectors: (items, d) unit vectors of the titles; None without.
        tell: Told what is being done.

    Raises:
        CatalogError: If there are too few shoppers to learn from.
    """

    def __init__(
        self, log: Purchases, vectors: Vectors | None = None, *, tell: Callable[[str], None] | None = None
    ) -> None:
        _enough(log)
        self._log = log
        self._vectors = vectors
        self._tell = tell if tell is not None else _silent
        self._end = (int(log.time.max()) // DAY_MS + 1) * DAY_MS
        self._lessons = Lessons(
            log,
            _RULES,
            vectors,
            progress=lambda done, whole: self._tell(f"learning from earlier moments: {done} of {whole}"),
        )

    def learn(self, *, held_out: dict[str, Any] | None = None) -> Learnt:
        """The rankers and neighbours from the whole log.

        Args:
            held_out: As from `check`, for the manifest.

        Raises:
            CatalogError: If there are too few days to learn from.
        """
        log = self._log
        rankers = self._rankers(self._end)
        self._tell("learning what goes together")
        counts = gram(log)
        ease = Behaviour("ease", quick_ease(counts, LAMBDA), counts.diagonal() > 0)
        manifest = {
            "format": _FORMAT,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "from": date_of(int(log.time.min())),
            "until": date_of(int(log.time.max())),
            "lines": len(log),
            "shoppers": len(log.users),
            "items": len(log.items),
            "titles": self._vectors is not None,
            "features": list(FEATURES),
            "importance": {rule: dict(list(one.importance().items())[:10]) for rule, one in rankers.items()},
            "held_out": held_out,
        }
        return Learnt(rankers, ease.sparse(PARTNERS), log.items, manifest)

    def check(self) -> dict[str, Any]:
        """Train on all but the last four weeks and measure on them: figures of the ranker and of EASE^R, by rule.

        Raises:
            CatalogError: If there are too few days, or nobody came back in the last weeks.
        """
        cutoff = self._end - HELD_OUT_DAYS * DAY_MS
        cut = split(self._log, cutoff)
        rankers = self._rankers(cutoff)
        self._tell(f"measuring on the last {HELD_OUT_DAYS} days")
        knowledge = Knowledge(cut.history, cutoff, self._vectors)
        # What was known at the cutoff is also a lesson for the model of the whole log.
        self._lessons.at(cutoff, knowledge)
        ease = Behaviour.ease(cut.history)
        report: dict[str, Any] = {"cutoff": date_of(cutoff)}
        for rule in _RULES:
            task = cut.task(rule)
            report[rule] = {"shoppers": len(task.users)}
            for name, channel in (("fused", Fused(knowledge, rankers[rule])), ("ease", ease)):
                metrics = evaluate(channel, task).metrics
                report[rule][name] = {
                    **{metric: round(value.mean, 4) for metric, value in metrics.values.items()},
                    **{f"coverage@{k}": round(value, 4) for k, value in metrics.coverage.items()},
                }
        return report

    def _rankers(self, now: int) -> dict[Rule, Ranker]:
        samples = self._lessons.samples(now)
        self._tell(f"training the ranker of {date_of(now)}")
        return {rule: train(samples[rule], rule) for rule in _RULES}


def _silent(_: str) -> None:
    """Tells nobody."""


def _enough(log: Purchases) -> None:
    import numpy as np  # noqa: PLC0415

    days = np.unique(log.user * 1_000_000 + log.day) // 1_000_000
    coming_back = int((np.bincount(days, minlength=len(log.users)) >= 2).sum())
    if coming_back < LEAST_SHOPPERS:
        raise CatalogError(
            f"Only {coming_back:,} of {len(log.users):,} shoppers bought on two days or more; "
            f"a ranker needs at least {LEAST_SHOPPERS}.",
            way_out="Give a longer log of orders.",
        )
