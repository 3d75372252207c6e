"""`nearline rank train`: what is learnt from purchases, checked on a held-out last month and saved with a manifest.

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
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from index.channels.behaviour import Behaviour, Neighbours
from index.channels.purchases import DAY_MS
from index.errors import CatalogDamagedError, CatalogError
from index.evaluate.slate import Rule, evaluate, split
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import Fused, Ranker, gather, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from index.channels.purchases import Purchases
    from index.encoder import Vectors

__all__ = ["HELD_OUT_DAYS", "LEAST_SHOPPERS", "PARTNERS", "Learnt", "check", "learn"]

HELD_OUT_DAYS: Final = 30
PARTNERS: Final = 200
LEAST_SHOPPERS: Final = 20
"""Shoppers with purchases on two days; with fewer a ranker learns their habits by heart."""

_RULES: Final[tuple[Rule, ...]] = ("novel", "all")
_MANIFEST: Final = "manifest.json"
_NEIGHBOURS: Final = "neighbours.npz"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Learnt:
    """What `learn` made, and what serving opens.

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
        """Write the folder, in place of one that is there, whole or not at all.

        Raises:
            CatalogError: If it cannot be written, or the place holds something else.
        """
        if directory.exists() and not (directory / _MANIFEST).is_file():
            raise CatalogError(
                f"{directory} is there already and holds no ranking.",
                way_out="Name another folder with --out.",
            )
        beside = directory.with_name(f".{directory.name}.new")
        former = directory.with_name(f".{directory.name}.old")
        try:
            for leftover in (beside, former):
                shutil.rmtree(leftover, ignore_errors=True)
            beside.mkdir(parents=True)
            for rule, ranker in self.rankers.items():
                ranker.save(beside / f"ranker-{rule}.json")
            self.neighbours.save(beside / _NEIGHBOURS, self.items)
            files = {one.name: _hash(one) for one in sorted(beside.iterdir())}
            text = json.dumps({**self.manifest, "files": files}, indent=2, ensure_ascii=False)
            (beside / _MANIFEST).write_text(text + "\n", encoding="utf-8")
            if directory.exists():
                directory.rename(former)
            beside.rename(directory)
        except OSError as error:
            raise CatalogError(
                f"{directory} cannot be written ({error}).", way_out="Name another folder with --out."
            ) from error
        shutil.rmtree(former, ignore_errors=True)

    @classmethod
    def open(cls, directory: Path) -> Learnt:
        """Open what `save` wrote.

        Raises:
            CatalogDamagedError: If a file is missing, altered, or of other features.
        """
        try:
            manifest = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
            files = dict(manifest["files"])
            wrong = [name for name, known in files.items() if _hash(directory / name) != known]
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


def learn(
    log: Purchases,
    vectors: Vectors | None = None,
    *,
    held_out: dict[str, Any] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Learnt:
    """Learn the rankers and neighbours from a whole log.

    Args:
        log: All order lines.
        vectors: (items, d) unit vectors of the titles; None without.
        held_out: As from `check`, for the manifest.
        tell: Told what is being done.

    Raises:
        CatalogError: If there are too few shoppers or days to learn from.
    """
    _enough(log)
    now = (int(log.time.max()) // DAY_MS + 1) * DAY_MS
    rankers = _rankers(log, now, vectors, tell)
    if tell is not None:
        tell("learning what goes together")
    neighbours = Behaviour.ease(log).sparse(PARTNERS)
    manifest = {
        "format": _FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": _day(int(log.time.min())),
        "until": _day(int(log.time.max())),
        "lines": len(log),
        "shoppers": len(log.users),
        "items": len(log.items),
        "titles": vectors is not None,
        "features": list(FEATURES),
        "importance": {rule: dict(list(one.importance().items())[:10]) for rule, one in rankers.items()},
        "held_out": held_out,
    }
    return Learnt(rankers, neighbours, log.items, manifest)


def check(
    log: Purchases, vectors: Vectors | None = None, *, tell: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Train on all but the last month and measure on it: figures of the ranker and of EASE^R, by rule.

    Args:
        log: All order lines.
        vectors: As in `learn`.
        tell: As there.

    Raises:
        CatalogError: If there are too few shoppers or days.
    """
    _enough(log)
    cutoff = (int(log.time.max()) // DAY_MS + 1 - HELD_OUT_DAYS) * DAY_MS
    cut = split(log, cutoff)
    rankers = _rankers(cut.history, cutoff, vectors, tell)
    if tell is not None:
        tell("measuring on the last month")
    knowledge = Knowledge(cut.history, cutoff, vectors)
    ease = Behaviour.ease(cut.history)
    report: dict[str, Any] = {"cutoff": _day(cutoff)}
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


def _rankers(
    history: Purchases, now: int, vectors: Vectors | None, tell: Callable[[str], None] | None
) -> dict[Rule, Ranker]:
    def told(done: int, whole: int) -> None:
        if tell is not None:
            tell(f"learning from what was before {_day(now)}: moment {done} of {whole}")

    samples = gather(history, now, _RULES, vectors, progress=told)
    return {rule: train(samples[rule], rule) for rule in _RULES}


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


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()
