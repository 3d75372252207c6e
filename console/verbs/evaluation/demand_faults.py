"""How many of the demands are faulty, before and after judging."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agents import prompts
from agents.judge import Calibration, Case, Judge
from agents.judge.labelled import Person, faults_of
from console.verbs.evaluation.demand_writing import shoppers_of
from console.verbs.evaluation.labelling import shelf_of
from index.evaluate.demand import measure, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents import AgentSettings, Shopper
    from console.verbs.evaluation.demand_slices import Slices
    from console.verbs.evaluation.demand_writing import Written
    from console.verbs.evaluation.purchases import Bought
    from index.encoders.encoder import Encoder
    from index.evaluate.slate import Task

__all__ = ["faults"]

# Judging forty demands of each of all shoppers would take longer than everything else.
_SHOPPERS: Final = 200
_ABSENT: Final = "absent product"
_BATCH: Final = 16


def faults(
    bought: Bought,
    task: Task,
    written: Written,
    slices: Slices,
    encoder: Encoder,
    settings: AgentSettings,
    *,
    seed: int,
) -> dict[str, Any]:
    """What is wrong with demands by the rules of `agents.judge.labelled.faults_of`, all of them and those that the judge keeps.

    The rules know the whole log, before and after the cutoff; the judge, by the packaged calibration, knows what the writer does.
    Of more than 200 shoppers so many are drawn.

    Args:
        bought: The log with its items.
        task: NOVEL.
        written: The demands of its shoppers, unjudged.
        slices: What answers demands.
        encoder: That made its vectors.
        settings: Whose prompt the demands come from.
        seed: Of which shoppers are drawn.
    """
    many = len(task.users)
    chosen = np.sort(np.random.default_rng(seed).permutation(many)[:_SHOPPERS])
    part = some(task, chosen)
    shoppers = shoppers_of(part.shoppers, part.users.tolist(), bought.log, bought.titles)
    queries = [tuple(written.queries[at][: slices.queries]) for at in chosen.tolist()]
    prompt = prompts.load(settings.prompt)
    titles = dict(zip(bought.log.items, bought.titles, strict=True))
    asked = [(at, query) for at, own in enumerate(queries) for query in own]
    found = faults_of(titles, _people(bought, part, shoppers), asked, prompt.phrases())
    shelf = shelf_of(bought, slices.vectors, encoder, slices.cut.cutoff, withheld=frozenset())
    judge = Judge(shelf, Calibration.load())
    verdicts = []
    for start in range(0, len(shoppers), _BATCH):
        cases = [
            Case(shopper, own, prompt.phrases(), prompt.rules)
            for shopper, own in zip(
                shoppers[start : start + _BATCH], queries[start : start + _BATCH], strict=True
            )
        ]
        verdicts += judge.judge(cases)
    kept = [one.kept for case in verdicts for one in case]
    left: list[list[str]] = [[] for _ in shoppers]
    for (at, query), stays in zip(asked, kept, strict=True):
        if stays:
            left[at].append(query)
    after = [fault for fault, stays in zip(found, kept, strict=True) if stays]
    lists = {"U2Q": slices.lists(part, queries), "U2Q, judged": slices.lists(part, left)}
    return {
        "shoppers": len(shoppers),
        "channels": {name: measure(rows, part, seed=seed).values for name, rows in lists.items()},
        "faults": {"before": _shares(found, len(shoppers)), "after": _shares(after, len(shoppers))},
    }


def _shares(found: Sequence[str], shoppers: int) -> dict[str, Any]:
    """Of the demands: how many a shopper, which share is faulty, and which share that no title answers."""
    many = max(len(found), 1)
    return {
        "demands": len(found) / max(shoppers, 1),
        "faulty": sum(map(bool, found)) / many,
        "not_in_catalogue": sum(one == _ABSENT for one in found) / many,
        "by_fault": {name: count / many for name, count in sorted(Counter(found).items()) if name},
    }


def _people(bought: Bought, task: Task, shoppers: Sequence[Shopper]) -> list[Person]:
    log = bought.log
    people = []
    for at, shopper in enumerate(shoppers):
        ever = frozenset(log.items[item] for item in log.item[log.user == task.users[at]].tolist())
        before = frozenset(act.item_id for act in shopper.recent)
        after = tuple(log.items[item] for item in task.targets[at].tolist())
        people.append(Person(shopper, before, after, ever))
    return people
