"""Learning the live ranker from recorded slates and what shoppers did after them.

A group is one slate; its rows are the features of the items shown, as they were recorded. An item's label is the
strongest thing its shopper did with it within `HORIZON_MS` of the slate and before the shopper's next slate that shows
it: 1 for a click, 2 for a cart or favourite, 3 for an order, else 0; a view counts as a click. Slates after which
nothing happened teach nothing and are left out. Items not shown have no label, so what is learnt is the order of what
recall finds.

LightGBM's lambdarank (Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82), a gain of 2^label - 1. The last
fifth of the slates by time is held out: the order that was shown and the order learnt from the others are compared
there, then all are learnt from. Shoppers look at first places first (Joachims and others, "Accurately Interpreting
Clickthrough Data as Implicit Feedback", SIGIR 2005), so an item that was taken up weighs log2(1 + place), up to
`MOST_WEIGHT`: inverse propensity weighting (Joachims, Swaminathan and Schnabel, "Unbiased Learning-to-Rank with Biased
Feedback", WSDM 2017) with the discount of NDCG for the propensity.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from index.errors import CatalogError, CatalogSourceError
from index.ranking.live import LIVE_FEATURES
from index.ranking.live_ranker import LiveRanker, lightgbm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["HORIZON_MS", "LABELS", "LEAST_GROUPS", "Group", "Joined", "join_events", "learn_live"]

HORIZON_MS: Final = 7 * 86_400_000
LABELS: Final = {"view": 1, "click": 1, "favorite": 2, "cart": 2, "order": 3}
LEAST_GROUPS: Final = 50
"""Slates with a response; with fewer a ranker learns their shoppers' habits by heart."""

MOST_WEIGHT: Final = 4.0
_HELD_OUT: Final = 0.2
_AT: Final = 10
_ROUNDS: Final = 80
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 30,
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
    "num_threads": 1,
    "seed": 1,
}


@dataclass(frozen=True, slots=True)
class Group:
    """One slate as it was shown, and what followed.

    Attributes:
        user: The shopper.
        made_at: UTC milliseconds.
        items: The ids shown, first place first.
        features: (m, len(LIVE_FEATURES)) as recorded.
        labels: (m,) from 0 to 3.
    """

    user: str
    made_at: int
    items: tuple[str, ...]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Joined:
    """Slates with responses.

    Attributes:
        groups: By time.
        counts: How many slates were read, had no response, or were left out, by reason; and the responses by label.
    """

    groups: tuple[Group, ...]
    counts: dict[str, int]


@dataclass(slots=True)
class _Shown:
    made_at: int
    items: list[str]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.labels = np.zeros(len(self.items), dtype=np.int32)


def join_events(
    slates: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], *, horizon_ms: int = HORIZON_MS
) -> Joined:
    """Join recorded slates with what followed.

    Args:
        slates: Records of ``nearline.slates``, in any order; those that were not served, or that were recorded without
            these features, are counted and left out.
        events: With ``user_id``, ``type``, ``ts`` (UTC milliseconds) and ``item_id``, in any order; others are passed over.
        horizon_ms: How long after a slate a response is its own.

    Raises:
        CatalogSourceError: If no slate can be used.
    """
    counts: Counter[str] = Counter()
    shown: defaultdict[str, list[_Shown]] = defaultdict(list)
    seen: set[tuple[str, int]] = set()
    for record in slates:
        counts["slates"] += 1
        reason = _unusable(record, seen)
        if reason:
            counts[reason] += 1
            continue
        user, made_at, candidates = record["user"], record["made_at"], record["candidates"]
        seen.add((user, record["version"]))
        shown[user].append(_Shown(made_at, [str(one["item"]) for one in candidates], _rows(candidates)))
    if not shown:
        raise CatalogSourceError(
            f"None of {counts['slates']} records is a served slate with features ({dict(counts)}).",
            way_out="Give the records of nearline.slates that workers of this version wrote.",
        )
    _label(shown, events, horizon_ms, counts)
    groups = [
        Group(user, one.made_at, tuple(one.items), one.features, one.labels)
        for user, all_of in shown.items()
        for one in all_of
        if one.labels.any()
    ]
    counts["without a response"] = sum(map(len, shown.values())) - len(groups)
    return Joined(tuple(sorted(groups, key=lambda group: (group.made_at, group.user))), dict(counts))


def _unusable(record: Mapping[str, Any], seen: set[tuple[str, int]]) -> str:
    if record.get("outcome") != "served":
        return "not served"
    if tuple(record.get("features") or ()) != LIVE_FEATURES:
        return "recorded with other features"
    try:
        user, version, candidates = record["user"], record["version"], record["candidates"]
        whole = isinstance(record["made_at"], int) and all(
            len(one["features"]) in {0, len(LIVE_FEATURES)} and one["item"] for one in candidates
        )
    except (KeyError, TypeError):
        return "incomplete"
    if not whole:
        return "incomplete"
    if not candidates or any(not one["features"] for one in candidates):
        return "not ranked"
    return "recorded twice" if (user, version) in seen else ""


def _rows(candidates: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
    return np.array(
        [[np.nan if value is None else value for value in one["features"]] for one in candidates],
        dtype=np.float32,
    )


def _label(
    shown: Mapping[str, list[_Shown]],
    events: Iterable[Mapping[str, Any]],
    horizon_ms: int,
    counts: Counter[str],
) -> None:
    """Give each event to the shopper's latest slate before it that shows the item."""
    places: dict[str, dict[str, list[tuple[int, _Shown, int]]]] = {}
    for user, all_of in shown.items():
        all_of.sort(key=lambda one: -one.made_at)
        mine = places.setdefault(user, {})
        for one in all_of:
            for at, item in enumerate(one.items):
                mine.setdefault(item, []).append((one.made_at, one, at))
    for event in events:
        label = LABELS.get(str(event.get("type")), 0)
        ts = event.get("ts")
        if not label or not isinstance(ts, int):
            continue
        for made_at, one, at in places.get(str(event.get("user_id")), {}).get(str(event.get("item_id")), ()):
            if made_at < ts:
                if ts <= made_at + horizon_ms:
                    counts[f"responses of {label}"] += 1
                    one.labels[at] = max(int(one.labels[at]), label)
                break


def learn_live(joined: Joined) -> LiveRanker:
    """Learn the live ranker, compared on the last slates with the order that was shown.

    Raises:
        CatalogError: If there are too few slates with a response, or lightgbm is not installed.
    """
    groups = joined.groups
    if len(groups) < LEAST_GROUPS:
        raise CatalogError(
            f"Only {len(groups):,} slates have a response; a ranker needs at least {LEAST_GROUPS}.",
            way_out="Record more slates, and the events that follow them.",
        )
    cut = int(len(groups) * (1 - _HELD_OUT))
    before, after = groups[:cut], groups[cut:]
    tried = LiveRanker(_fit(before), {})
    shown = np.array([_ndcg(one.labels) for one in after])
    learnt = np.array(
        [_ndcg(one.labels[np.argsort(-tried.score(one.features), kind="stable")]) for one in after]
    )
    booster = _fit(groups)
    gain = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    share = gain / max(float(gain.sum()), 1e-12)
    manifest = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": _moment(groups[0].made_at),
        "until": _moment(groups[-1].made_at),
        "slates": len(groups),
        "shoppers": len({one.user for one in groups}),
        "counts": joined.counts,
        "importance": {
            LIVE_FEATURES[at]: round(float(share[at]), 4) for at in np.argsort(-share) if share[at] > 0
        },
        "held_out": {
            "slates": len(after),
            f"shown NDCG@{_AT}": round(float(shown.mean()), 4),
            f"learnt NDCG@{_AT}": round(float(learnt.mean()), 4),
        },
    }
    return LiveRanker(booster, manifest)


def _fit(groups: Sequence[Group]) -> Any:
    boosting = lightgbm()
    labels = np.concatenate([one.labels for one in groups])
    weights = np.concatenate(
        [
            np.where(one.labels > 0, np.minimum(np.log2(2 + np.arange(len(one.labels))), MOST_WEIGHT), 1.0)
            for one in groups
        ]
    )
    data = boosting.Dataset(
        np.concatenate([one.features for one in groups]),
        labels,
        weight=weights,
        group=[len(one.labels) for one in groups],
        feature_name=list(LIVE_FEATURES),
        free_raw_data=False,
    )
    return boosting.train(_PARAMETERS, data, _ROUNDS)


def _ndcg(labels: npt.NDArray[np.int32]) -> float:
    """NDCG of labels in an order, with the gain 2^label - 1 and the discount 1 / log2(1 + place)."""
    gains = 2.0**labels - 1
    discount = 1 / np.log2(2 + np.arange(_AT))
    best = np.sort(gains)[::-1][:_AT]
    return float((gains[:_AT] * discount[: len(gains)]).sum() / (best * discount[: len(best)]).sum())


def _moment(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="seconds")
