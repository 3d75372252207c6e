"""The difference of two runs, as data: what `nearline replay diff --json` prints."""

from __future__ import annotations

import msgspec

__all__ = [
    "DEPTHS",
    "Agreement",
    "CategoryShare",
    "ChangedShopper",
    "Difference",
    "OverTime",
    "RuleChange",
    "Side",
]

DEPTHS = (10, 20, 50)


class RuleChange(msgspec.Struct, frozen=True):
    """Triggers of one rule: in both runs, only in the second, only in the first."""

    rule: str
    both: int
    gained: int
    lost: int


class Agreement(msgspec.Struct, frozen=True):
    """How far the slates of the triggers in both runs agree, as means over them; None where there are none.

    Attributes:
        slates: how many were compared, and ``same`` how many have the same items in the same order.
        overlap: by depth the share of items in both.
        kendall: rank correlation of the items in both, -1 to 1; None where no two slates share two items.
        rbo: rank-biased overlap with persistence 0.9, 0 to 1.
        spread: how many slates share less than 10 % of their first 20 items, 10 to 20 %, and so on; last, all.
    """

    slates: int
    same: int
    overlap: dict[int, float | None]
    kendall: float | None
    rbo: float | None
    spread: list[int]


class Side(msgspec.Struct, kw_only=True):
    """One run by itself.

    Attributes:
        name: of the run.
        triggers: fired, for so many ``shoppers``; ``slates`` made; ``rungs`` of their demands.
        categories: mean of the different categories in a slate.
        unseen: share of shown items that are of categories the shopper had not touched.
        new: share of shown items that were new to the shop.
        items: different items shown to anybody.
        acts: by type what shoppers did within the horizon after a trigger of theirs in either run.
        hits: of those, the ones whose item was in the slate that the shopper would have seen; ``hits_at`` in its
            first 10, 20 and 50 places.
        asked: triggers for which the language model was asked, with the tokens read and written, whether the answer
            came from the model or from a cassette.
        model_calls: calls that went to the model; ``texts_encoded`` texts that went to the encoder.
        from_cassette, misses: calls that the cassette had, and had not.
        seconds: wall clock by stage, as the run says.
    """

    name: str
    triggers: int
    shoppers: int
    slates: int
    rungs: dict[str, int]
    categories: float
    unseen: float
    new: float
    items: int
    acts: dict[str, int]
    hits: dict[str, int]
    hits_at: dict[int, dict[str, int]]
    asked: int
    prompt_tokens: int
    output_tokens: int
    model_calls: int
    texts_encoded: int
    from_cassette: int
    misses: int
    seconds: dict[str, float]


class OverTime(msgspec.Struct, frozen=True):
    """Triggers of both runs by time: steps of ``step`` ms from ``start`` (event time, ms)."""

    start: int
    step: int
    first: list[int]
    second: list[int]


class CategoryShare(msgspec.Struct, frozen=True):
    """Places that a category has in the slates of each run; the empty name stands for items without one."""

    category: str
    first: int
    second: int


class ChangedShopper(msgspec.Struct, frozen=True):
    """A shopper who would have seen something else.

    Attributes:
        user: the shopper.
        moments: times at which either run made a slate for them.
        change: mean over these of 1 less the rank-biased overlap of what each run would have shown then; 0 to 1.
        at: the moment of the largest change, event time in ms.
        places: of the triggers whose slates each run would have shown then; None for none.
    """

    user: str
    moments: int
    change: float
    at: int
    places: tuple[int | None, int | None]


class Difference(msgspec.Struct, kw_only=True):
    """The difference of two runs.

    Attributes:
        same: whether triggers, prompts, demands and slates are the same, by their hashes; ``all`` for everything.
        rules: triggers by rule.
        thought: triggers in both runs with demands in both.
        prompts_changed, demands_changed: of these.
        demands_kept: mean share of queries in both, of those in either, of these triggers.
        agreement: of the slates of the triggers in both runs.
        rungs_moved: those of them whose demands come from another rung.
        sides: the runs by themselves.
        only_hits: acts that only the first run would have hit, and only the second.
        horizon_s: how long after a trigger what a shopper did counts.
        over_time: triggers by time.
        categories: what is shown, by category.
        shoppers: the most changed.
        notes: what to know when reading it.
    """

    same: dict[str, bool]
    rules: list[RuleChange]
    thought: int
    prompts_changed: int
    demands_changed: int
    demands_kept: float | None
    agreement: Agreement
    rungs_moved: dict[str, int]
    sides: list[Side]
    only_hits: list[dict[str, int]]
    horizon_s: float
    over_time: OverTime
    categories: list[CategoryShare] = []
    shoppers: list[ChangedShopper] = []
    notes: list[str] = []
