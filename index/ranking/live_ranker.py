"""The live ranker: LightGBM's lambdarank over `index.ranking.live.LIVE_FEATURES`, one file with its making in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.errors import CatalogDamagedError, CatalogError
from index.ranking.live import LIVE_FEATURES
from nearline import written_whole

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["LIVE_RANKER", "LiveRanker", "lightgbm"]

LIVE_RANKER: Final = "ranker-live.json"
_AGAIN: Final = "Train it again: `nearline rank train --slates`."


@dataclass(frozen=True, slots=True)
class LiveRanker:
    """A trained model; scores are comparable within one slate only.

    Attributes:
        booster: LightGBM's.
        manifest: What it was learnt from, and how it did on what was held out.
    """

    booster: Any
    manifest: dict[str, Any]

    def score(
        self,
        features: npt.NDArray[np.float32],
        owner: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.float64]:
        """(m,) from 0 to 1 within each owner: the raw scores, so scaled. Owners rise; all are one's if None."""
        if not len(features):
            return np.zeros(0)
        raw = np.asarray(self.booster.predict(features, num_threads=1, raw_score=True), dtype=np.float64)
        first = np.zeros(len(raw), dtype=bool) if owner is None else np.r_[False, owner[1:] != owner[:-1]]
        starts, group = np.r_[0, np.flatnonzero(first)], np.cumsum(first)
        low, high = np.minimum.reduceat(raw, starts), np.maximum.reduceat(raw, starts)
        scaled: npt.NDArray[np.float64] = (raw - low[group]) / np.maximum(high - low, 1e-12)[group]
        return scaled

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            CatalogError: If it cannot be written.
        """
        content = {
            "manifest": self.manifest,
            "features": LIVE_FEATURES,
            "booster": self.booster.model_to_string(),
        }
        try:
            with written_whole(path) as beside:
                beside.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            raise CatalogError(
                f"{path} cannot be written ({error}).", way_out="Name another folder with --out."
            ) from error

    @classmethod
    def load(cls, path: Path) -> LiveRanker:
        """Read what `save` wrote.

        Raises:
            CatalogDamagedError: If the file is missing, cut short or made for other features.
            CatalogError: If lightgbm is not installed.
        """
        boosting = lightgbm()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            features, manifest = tuple(content["features"]), dict(content["manifest"])
            booster = boosting.Booster(model_str=content["booster"])
        except (OSError, ValueError, KeyError, TypeError, boosting.basic.LightGBMError) as error:
            raise CatalogDamagedError(
                f"{path} holds no readable ranker ({error}).", way_out=_AGAIN
            ) from error
        if features != LIVE_FEATURES:
            raise CatalogDamagedError(f"{path} holds a ranker for other features.", way_out=_AGAIN)
        return cls(booster, manifest)


def lightgbm() -> Any:
    """The package.

    Raises:
        CatalogError: If it is not installed.
    """
    try:
        import lightgbm as package  # noqa: PLC0415 - serving without a ranker does without it
    except ImportError as error:
        raise CatalogError(
            "The live ranker needs lightgbm.",
            way_out="Install nearline[learn], or take ranker-live.json out.",
        ) from error
    return package
