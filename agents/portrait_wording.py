"""A portrait's core intent in a model's words, held to the facts.

The wording is used only if every word of it is one of the facts' or says nothing by itself, and it names
a category or a factor of them; otherwise the code's wording stays. Asked when a portrait is made
anew, not at a trigger.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agents import prompts
from agents.errors import BadAnswer, GenerationError
from agents.factors.kinds import seeds
from agents.factors.tokens import tokens
from agents.profile import sanitise
from agents.runtime.protocol import Request
from agents.structured import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.portrait import Portrait
    from agents.runtime.protocol import Runtime

__all__ = ["PROMPT", "borne_out", "word"]

PROMPT = "portrait-fewshot-1"

_LONGEST = 80
_TOKENS = 32
# Verbs of the prompt's kind that add no fact.
_PLAIN = frozenset({"buy", "after", "mostly", "often", "look", "shopper"})


async def word(
    portraits: Sequence[Portrait], runtime: Runtime, *, seed: int = 0, deadline: float | None = None
) -> list[Portrait | GenerationError]:
    """The portraits, in order, worded by the model where its words are borne out; an error for one without an answer.

    ``deadline`` is a ``time.monotonic`` moment. What the model said that is no wording, or says more than the facts, leaves
    the portrait as it is.
    """
    prompt = prompts.load(PROMPT)
    structure = queries(1, _LONGEST)
    requests = [
        Request(prompt, f"facts: {one.facts()}", structure, _TOKENS, 0.0, seed, frozenset(), deadline)
        for one in portraits
    ]
    answers = await runtime.generate(requests, deadline) if requests else []
    worded: list[Portrait | GenerationError] = []
    for portrait, answer in zip(portraits, answers, strict=True):
        if isinstance(answer, GenerationError) and not isinstance(answer, BadAnswer):
            worded.append(answer)
            continue
        made = portrait
        try:
            text = "" if isinstance(answer, GenerationError) else answer.text
            said = sanitise(structure.parse(text)[0], longest=_LONGEST)
        except BadAnswer:
            said = ""  # prose in place of an answer: the code's wording stands, and says who wrote it
        if said and borne_out(said, portrait):
            made = replace(portrait, wording=said, worded_by=runtime.model)
        worded.append(made)
    return worded


def borne_out(wording: str, portrait: Portrait) -> bool:
    """Whether every word is a fact's or empty, and at least one names a category or a factor."""
    about = {
        token.key
        for text in (*portrait.intent, *(name for name, _ in portrait.categories))
        for token in tokens(text)
    } - seeds().empty
    facts = {token.key for token in tokens(portrait.facts())}
    said = {token.key for token in tokens(wording)}
    return bool(said & about) and said <= facts | seeds().empty | _PLAIN
