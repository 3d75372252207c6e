"""Factors that a language model names, for titles of which the shop's own words say little.

A slow agent's work: done for a catalogue, or for what is new in it, never at a trigger. What the model names is
used only if its words stand in the title, side by side; all else is refused and counted. The values then
belong to the lexicon, and titles are read by code as before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents import prompts
from agents.errors import BadAnswer, GenerationError
from agents.factors.kinds import Kind, seeds
from agents.factors.lexicon import LONGEST_PHRASE, Factor, Lexicon, rarity
from agents.factors.tokens import key_of, occurs, tokens
from agents.profile import sanitise
from agents.runtime.protocol import Request
from agents.structured import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.runtime.protocol import Runtime

__all__ = ["PROMPT", "Asked", "ask", "unclear"]

PROMPT = "factors-fewshot-1"

_MOST_VALUES = 4
_LONGEST_VALUE = 24
_TOKENS = 32
# Fewer than this many factors leave a title unclear.
_CLEAR = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking.

    Attributes:
        lexicon: the lexicon with what was learnt.
        named: by title, the values that its words bear out.
        refused: (title, value) that stand in no such title, or say nothing.
        failed: (title, reason) of titles that got no usable answer; they may be asked again.
    """

    lexicon: Lexicon
    named: dict[str, tuple[str, ...]]
    refused: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]


def unclear(titles: Iterable[str], lexicon: Lexicon) -> list[str]:
    """The titles, each once, in which the lexicon finds fewer than two factors."""
    return [title for title in dict.fromkeys(titles) if len(lexicon.values(title)) < _CLEAR and key_of(title)]


async def ask(
    titles: Sequence[str], lexicon: Lexicon, runtime: Runtime, *, seed: int = 0, deadline: float | None = None
) -> Asked:
    """Ask the model for the factors of titles (``unclear`` picks those worth it).

    A factor's ``seen`` counts the titles asked about. ``deadline`` is a ``time.monotonic`` moment.
    Nothing is raised for one title's sake: see ``Asked.failed``.
    """
    prompt = prompts.load(PROMPT)
    structure = queries(_MOST_VALUES, _LONGEST_VALUE)
    readable = [title for title in dict.fromkeys(titles) if sanitise(title)]
    requests = [
        Request(prompt, f"title: {sanitise(title)}", structure, _TOKENS, 0.0, seed, frozenset(), deadline)
        for title in readable
    ]
    answers = await runtime.generate(requests, deadline) if requests else []
    named: dict[str, tuple[str, ...]] = {}
    refused: list[tuple[str, str]] = []
    failed: list[tuple[str, str]] = []
    for title, answer in zip(readable, answers, strict=True):
        if isinstance(answer, GenerationError):
            failed.append((title, answer.message))
            continue
        try:
            values = structure.parse(answer.text)
        except BadAnswer as error:
            failed.append((title, error.message))
            continue
        borne = tuple(dict.fromkeys(value for value in values if _stands(value, title)))
        refused += [(title, value) for value in values if value not in borne]
        if borne:
            named[title] = borne
    return Asked(lexicon.with_factors(_factors(named, lexicon)), named, tuple(refused), tuple(failed))


def _stands(value: str, title: str) -> bool:
    """Whether a value's words stand in the title and say something."""
    words = tokens(value)
    if not 0 < len(words) <= LONGEST_PHRASE or all(word.key in seeds().empty for word in words):
        return False
    return any(char.isalpha() for char in value) and occurs(value, title)


def _factors(named: dict[str, tuple[str, ...]], lexicon: Lexicon) -> list[Factor]:
    seen = Counter(key for values in named.values() for key in {key_of(value) for value in values})
    written = {key_of(value): value.casefold() for values in named.values() for value in values}
    kinds = seeds().kinds
    return [
        Factor(written[key], kinds.get(key, Kind.FEATURE), count, rarity(count, max(2, lexicon.titles)))
        for key, count in sorted(seen.items())
    ]
