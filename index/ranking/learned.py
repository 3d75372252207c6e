"""The learned ranker: LightGBM on the candidates of all behaviour channels, trained on earlier moments.

Two models whose scores are averaged: lambdarank, which orders each shopper's candidates and so reaches further down the
catalogue, and a classifier of hits, which is surer of its first places.

Ke and others, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NIPS 2017; Burges, "From RankNet to
LambdaRank to LambdaMART", MSR-TR-2010-82. A model for a moment is trained on the moments some weeks before it: at each,
everything known then is learnt anew from what came before, and the targets are the purchases between that moment
and the one the model is for. So nothing later than that moment is ever seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.channels.purchases import DAY_MS
from index.errors import CatalogDamagedError, CatalogError
from index.evaluate.slate import split
from index.ranking.diversity import diversify
from index.ranking.features import FEATURES, Knowledge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories, Purchases
    from index.encoder import Vectors
    from index.evaluate.slate import Rule

__all__ = ["GAPS", "Fused", "Ranker", "Samples", "gather", "train"]

GAPS: Final = (14, 28, 42, 56, 70, 98)
"""Days before the moment a model is for at which it is trained."""

_ROUNDS: Final = 120
_MISSES: Final = 0.25
"""Share of the candidates that were no target which is trained on: a quarter teaches as much, in a quarter of the time."""

_PARAMETERS: Final[dict[str, Any]] = {
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
_OBJECTIVES: Final[tuple[dict[str, Any], ...]] = (
    {"objective": "lambdarank", "lambdarank_truncation_level": 50},
    {"objective": "binary"},
)
_POOL: Final = 150
_SLATE: Final = 50


@dataclass(frozen=True, slots=True)
class Samples:
    """Candidates to train on.

    Attributes:
        features: (m, len(FEATURES)).
        hit: (m,) 1 where the candidate is a target.
        sizes: (g,) how many candidates each shopper has, in order.
    """

    features: npt.NDArray[np.float32]
    hit: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]


class Ranker:
    """A trained model; scores are comparable within one shopper only."""

    def __init__(self, boosters: Sequence[Any], rule: Rule) -> None:
        self._boosters = list(boosters)
        self.rule: Rule = rule

    def score(
        self, features: npt.NDArray[np.float32], owner: npt.NDArray[np.int64], *, threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """Score candidates from 0 to 1 within each shopper: the mean of the models' raw scores, each so scaled.

        Args:
            features: (m, len(FEATURES)).
            owner: (m,) the shopper of each candidate, rising from 0.
            threads: CPU threads.
        """
        total = np.zeros(len(features))
        if not len(features):
            return total
        starts = np.flatnonzero(np.r_[True, np.diff(owner) != 0])
        group = np.cumsum(np.r_[False, np.diff(owner) != 0])
        for booster in self._boosters:
            raw = np.asarray(booster.predict(features, num_threads=threads, raw_score=True))
            low, high = np.minimum.reduceat(raw, starts)[group], np.maximum.reduceat(raw, starts)[group]
            total += (raw - low) / np.maximum(high - low, 1e-12)
        return total / len(self._boosters)

    def importance(self) -> dict[str, float]:
        """Share of the whole gain by feature, largest first."""
        gains = np.zeros(len(FEATURES))
        for one in self._boosters:
            gain = np.asarray(one.feature_importance("gain"), dtype=np.float64)
            gains += gain / max(float(gain.sum()), 1e-12)
        shares = gains / len(self._boosters)
        order = np.argsort(-shares)
        return {FEATURES[at]: float(shares[at]) for at in order}

    def save(self, path: Path) -> None:
        """Write the model as JSON, whole or not at all."""
        beside = path.with_name(f".{path.name}.new")
        content = {
            "rule": self.rule,
            "features": FEATURES,
            "boosters": [one.model_to_string() for one in self._boosters],
        }
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Ranker:
        """Read what `save` wrote.

        Raises:
            CatalogDamagedError: If the file is missing, cut short or made for other features.
        """
        lightgbm = _lightgbm()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            features, rule = tuple(content["features"]), content["rule"]
            boosters = [lightgbm.Booster(model_str=one) for one in content["boosters"]]
        except (OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
            raise CatalogDamagedError(
                f"{path} holds no readable ranker ({error}).",
                way_out="Train it again: `nearline rank train`.",
            ) from error
        if features != FEATURES or rule not in {"novel", "all"} or not boosters:
            raise CatalogDamagedError(
                f"{path} holds a ranker for other features.", way_out="Train it again: `nearline rank train`."
            )
        return cls(boosters, rule)


@dataclass(frozen=True, slots=True)
class Fused:
    """The slate of all behaviour channels as a channel: candidates of each, ordered by the ranker."""

    knowledge: Knowledge
    ranker: Ranker
    name: str = "fused"
    needs: frozenset[Need] = frozenset({"purchases"})

    def pools(self, shoppers: Histories) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """For one shopper after the other the candidates' items (m,) and their relevance (m,) from 0 to 1."""
        found = self.knowledge.candidates(shoppers, novel=self.ranker.rule == "novel")
        relevance = self.ranker.score(found.features, found.owner)
        bounds = np.searchsorted(found.owner, np.arange(shoppers.count + 1))
        for start, stop in pairwise(bounds.tolist()):
            yield found.rows[start:stop], relevance[start:stop]

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`, for the 50 items of each slate; all others get -inf."""
        scores = np.full((shoppers.count, len(self.knowledge.sold)), -np.inf, dtype=np.float32)
        for at, (items, relevance) in enumerate(self.pools(shoppers)):
            pool = np.argsort(-relevance, kind="stable")[:_POOL]
            rows = items[pool]
            # What a shopper buys again may well be alike; only what is new to them is spread out.
            if self.knowledge.vectors is None or self.ranker.rule == "all":
                scores[at, rows[:_SLATE]] = relevance[pool][:_SLATE]
                continue
            chosen, values = diversify(relevance[pool], self.knowledge.vectors[rows], _SLATE)
            scores[at, rows[chosen]] = values
        return scores


def gather(
    history: Purchases,
    now: int,
    rules: Sequence[Rule],
    vectors: Vectors | None = None,
    *,
    gaps: Sequence[int] = GAPS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Rule, Samples]:
    """Candidates and what followed, at moments some days before ``now``.

    Args:
        history: The order lines before ``now``; later ones are not looked at.
        now: UTC milliseconds of the moment the model is for.
        rules: For which rules; what is known at a moment is learnt once for all of them.
        vectors: As in `Knowledge`.
        gaps: How many days before ``now`` the moments are.
        progress: Told how many moments are done, of how many.

    Raises:
        CatalogError: If no moment has shoppers to learn from.
    """
    parts: dict[Rule, list[Samples]] = {rule: [] for rule in rules}
    random = np.random.default_rng(0)
    items = len(history.items)
    for done, gap in enumerate(gaps):
        if progress is not None:
            progress(done, len(gaps))
        moment = now - gap * DAY_MS
        try:
            task = split(history, moment, until=now).task("all")
        except CatalogError:
            continue  # the log had hardly begun: this moment has nobody to learn from, others may
        shoppers = task.shoppers
        knowledge = Knowledge(history.before(moment), moment, vectors)
        scores = knowledge.score(shoppers)
        followed = np.zeros((shoppers.count, items), dtype=bool)
        for at, one in enumerate(task.targets):
            followed[at, one] = True

        def wanted(
            owner: npt.NDArray[np.int64],
            rows: npt.NDArray[np.int64],
            followed: npt.NDArray[np.bool_] = followed,
        ) -> npt.NDArray[np.bool_]:
            hit = followed[owner, rows]
            reached = np.bincount(owner, hit) > 0
            kept: npt.NDArray[np.bool_] = reached[owner] & (hit | (random.random(len(hit)) < _MISSES))
            return kept

        for rule in rules:
            found = knowledge.candidates(shoppers, novel=rule == "novel", scores=scores, wanted=wanted)
            sizes = np.bincount(found.owner, minlength=shoppers.count)
            hit = followed[found.owner, found.rows].astype(np.int32)
            parts[rule].append(Samples(found.features, hit, sizes[sizes > 0]))
    if progress is not None:
        progress(len(gaps), len(gaps))
    for rule, found_by in parts.items():
        if not any(len(part.sizes) for part in found_by):
            raise CatalogError(
                f"The log before the cutoff is too short to train a ranker ({rule}): at none of {len(gaps)} earlier "
                f"moments, the first {max(gaps)} days before it, is there a shopper with two days before and one after.",
                way_out="Choose a later cutoff, or leave the channel `fused` out.",
            )
    return {
        rule: Samples(
            np.concatenate([part.features for part in found]),
            np.concatenate([part.hit for part in found]),
            np.concatenate([part.sizes for part in found]),
        )
        for rule, found in parts.items()
    }


def train(samples: Samples, rule: Rule, *, seed: int = 1, threads: int = 1) -> Ranker:
    """Train the two models.

    Raises:
        CatalogError: If lightgbm is not installed.
    """
    lightgbm = _lightgbm()
    data = lightgbm.Dataset(
        samples.features, samples.hit, group=samples.sizes, feature_name=list(FEATURES), free_raw_data=False
    )
    fixed = {**_PARAMETERS, "seed": seed, "num_threads": threads}
    boosters = [lightgbm.train({**fixed, **objective}, data, _ROUNDS) for objective in _OBJECTIVES]
    return Ranker(boosters, rule)


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415 - serving without a ranker does without it
    except ImportError as error:
        raise CatalogError(
            "The learned ranker needs lightgbm.", way_out="Install nearline[learn]."
        ) from error
    return lightgbm
