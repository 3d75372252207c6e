"""A language model's verdict, beside the judge's own: which of the proposed demands would it stand by?

For a model that follows instructions, on a server; the packaged base model is too small to have an opinion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.errors import BadAnswer, GenerationError
from agents.profile import render, sanitise
from agents.runtime.protocol import Request, seed_of
from agents.structured import queries
from agents.words import normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.judge.features import Case
    from agents.prompts import Prompt
    from agents.runtime.protocol import Runtime

__all__ = ["opinions"]

_PROFILE: Final = 600
_LONGEST: Final = 80
_NONE: Final = "none"


async def opinions(
    cases: Sequence[Case], runtime: Runtime, prompt: Prompt, *, deadline: float | None = None
) -> list[tuple[bool, ...] | GenerationError]:
    """For each case whether the model stands by each of its queries; an error where it gave no opinion.

    The model gives back those it stands by. What it adds of its own is ignored, and an answer that holds neither one
    of the queries nor the word "none" is no opinion.

    Args:
        cases: The demands and their shoppers.
        runtime: Where the model runs.
        prompt: What it is told.
        deadline: ``time.monotonic`` seconds.
    """
    asked = [case for case in cases if case.queries]
    found = iter(await runtime.generate([_request(case, prompt, deadline) for case in asked], deadline))
    return [_opinion(case, next(found)) if case.queries else () for case in cases]


def _request(case: Case, prompt: Prompt, deadline: float | None) -> Request:
    proposed = "; ".join(sanitise(query) for query in case.queries)
    token = f"{case.shopper.user_id}:{case.shopper.moment}:{proposed}"
    return Request(
        prompt=prompt,
        text=f"{render(case.shopper, _PROFILE).text}\nproposed: {proposed}".strip(),
        structure=queries(max(1, len(case.queries)), _LONGEST),
        max_tokens=24 * len(case.queries) + 8,
        temperature=0.0,
        seed=seed_of(token),
        deadline=deadline,
    )


def _opinion(case: Case, answer: object) -> tuple[bool, ...] | GenerationError:
    if isinstance(answer, GenerationError):
        return answer
    text = getattr(answer, "text", "")
    try:
        given = {normal(one) for one in queries(max(1, len(case.queries)), _LONGEST).parse(text)}
    except BadAnswer as error:
        return error
    kept = tuple(normal(sanitise(query)) in given for query in case.queries)
    if not any(kept) and _NONE not in given:
        return BadAnswer("the model's opinion names none of the demands.", way_out="Use a larger model.")
    return kept
