"""The learned ranker: LightGBM on the candidates of all behaviour channels, trained on earlier moments (`lessons`).

Two models whose scores are averaged: lambdarank, which orders each shopper's candidates and so reaches further down the
catalogue, and a classifier of hits, which is surer of its first places. In the classifier a candidate weighs
h ** -0.75, with h the hits that its shopper has among theirs: otherwise the few who buy by the hundred would be all it
learns, and it is for the others that a slate may have no hit.

Ke and others, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NIPS 2017; Burges, "From RankNet to
LambdaRank to LambdaMART", MSR-TR-2010-82.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.errors import CatalogDamagedError, CatalogError
from index.ranking.diversity import broaden
from index.ranking.features import FEATURES
from nearline import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories
    from index.evaluate.slate import Rule
    from index.ranking.features import Knowledge
    from index.ranking.lessons import Samples

__all__ = ["Fused", "Ranker", "train"]

_ROUNDS: Final = 120
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
    "max_bin": 63,
    "verbosity": -1,
}
_LAMBDARANK: Final[dict[str, Any]] = {"objective": "lambdarank", "lambdarank_truncation_level": 50}
_CLASSIFIER: Final[dict[str, Any]] = {"objective": "binary"}
_FEW_HITS: Final = 0.75
_SLATE: Final = 50
_SECOND: Final = [
    FEATURES.index(f"{name}_share") for name in ("ease", "ease-decayed", "ease-recent", "ease-basket")
]


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
        content = {
            "rule": self.rule,
            "features": FEATURES,
            "boosters": [one.model_to_string() for one in self._boosters],
        }
        with written_whole(path) as beside:
            beside.write_text(json.dumps(content), encoding="utf-8")

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

    def ordered(self, shoppers: Histories) -> Iterator[npt.NDArray[np.int64]]:
        """For one shopper after the other the candidates' items (m,), best first."""
        found = self.knowledge.candidates(shoppers, novel=self.ranker.rule == "novel")
        relevance = self.ranker.score(found.features, found.owner)
        second = found.features[:, _SECOND].mean(axis=1, dtype=np.float64)
        month = self.knowledge.item("sales_30")
        bounds = np.searchsorted(found.owner, np.arange(shoppers.count + 1))
        for start, stop in pairwise(bounds.tolist()):
            items, mine = found.rows[start:stop], relevance[start:stop]
            # What a shopper buys again is no question of breadth; only what is new to them is.
            if self.ranker.rule == "all":
                yield items[np.argsort(-mine, kind="stable")]
            else:
                yield items[broaden(mine, second[start:stop], month[items])]

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`, for the 50 items of each slate, 1 for the first, falling; all others get -inf."""
        scores = np.full((shoppers.count, len(self.knowledge.sold)), -np.inf, dtype=np.float32)
        for at, items in enumerate(self.ordered(shoppers)):
            shown = items[:_SLATE]
            scores[at, shown] = 1.0 - np.arange(len(shown)) / _SLATE
        return scores


def train(
    samples: Samples, rule: Rule, *, names: Sequence[str] = FEATURES, seed: int = 1, threads: int = 1
) -> Ranker:
    """Train the two models.

    Args:
        samples: Candidates and hits.
        rule: Which the ranker is for.
        names: Of the samples' columns; a ranker of others than `FEATURES` can neither be saved nor explained.
        seed: Of what is drawn.
        threads: CPU threads.

    Raises:
        CatalogError: If lightgbm is not installed.
    """
    lightgbm = _lightgbm()
    hits = np.add.reduceat(samples.hit, np.cumsum(samples.sizes) - samples.sizes)
    weight = np.repeat(np.maximum(hits, 1.0) ** -_FEW_HITS, samples.sizes)
    fixed = {**_PARAMETERS, "seed": seed, "num_threads": threads}
    data = lightgbm.Dataset(
        samples.features,
        samples.hit,
        group=samples.sizes,
        feature_name=list(names),
        params=fixed,
        free_raw_data=False,
    )
    ranking = lightgbm.train({**fixed, **_LAMBDARANK}, data, _ROUNDS)
    data.set_weight(weight / weight.mean())
    return Ranker([ranking, lightgbm.train({**fixed, **_CLASSIFIER}, data, _ROUNDS)], rule)


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415 - serving without a ranker does without it
    except ImportError as error:
        raise CatalogError(
            "The learned ranker needs lightgbm.", way_out="Install nearline[learn]."
        ) from error
    return lightgbm
