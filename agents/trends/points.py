"""Selling points: the phrases that a text makes most of, each standing in the text as it is.

Candidates are runs of words between stop words and punctuation, and a word weighs its degree by its frequency: RAKE
(Rose, Engel, Cramer and Cowley, "Automatic keyword extraction from individual documents", 2010). A phrase in the title
counts double, and only phrases of two to four words are points: one word is too wide to search for, five too narrow.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from agents.errors import BadAnswer, GenerationError
from agents.runtime.protocol import Request
from agents.structured import queries
from agents.words import normal, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.prompts import Prompt
    from agents.runtime.protocol import Runtime
    from agents.trends.document import Document

__all__ = ["grounded", "points", "points_by_model"]

_STOPS: Final = frozenset(
    """a about above across after again against all almost also although always am among an and another any anyone are
    around as ask at away back be became because become been before being below best better between big both but buy
    by came can cannot come could day days did do does doing done down during each either else enough even ever every
    everyone far few find first five for found four from full get gets getting give go goes going good got great had
    has have having he her here hers him his home how however i if in into is it its just keep kind know last least
    less let like likely little long look looking lot made make makes making many may maybe me might more most much
    must my near need never new next no nor not now of off often on once one only or other our out over own part
    people perfect per piece pieces plus put rather really right said same say says see seen set she should show since
    so some something soon still such take takes taking than that the their them then there these they thing things
    think this those though three through time times to today together too top two under until up upon us use used
    using very want was way we week well went were what when where whether which while who whole why will with within
    without work would year years yet you your""".split()  # noqa: SIM905 - a list of a hundred lines reads worse
)
_RUN: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|[^\s]")
_SHORTEST, _LONGEST = 2, 4
_SHOWN: Final = 1_500


def points(document: Document, limit: int = 8) -> list[str]:
    """The phrases of a document that weigh most, best first; ties in their order in the text."""
    in_title = list(_runs(document.title))
    runs = [*in_title, *_runs(document.text)]
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for run in runs:
        for word in run:
            frequency[word] += 1
            degree[word] += len(run)
    scores: dict[tuple[str, ...], float] = {}
    for at, run in enumerate(runs):
        for phrase in _cut(run):
            worth = sum(degree[word] / frequency[word] for word in phrase) / len(phrase)
            scores[phrase] = scores.get(phrase, 0.0) + worth * (2.0 if at < len(in_title) else 1.0)
    best = sorted(scores, key=lambda phrase: -scores[phrase])
    return [" ".join(phrase) for phrase in best[:limit]]


def grounded(phrases: Iterable[str], document: Document) -> list[str]:
    """Those phrases that stand in the document, word for word but for case and plural."""
    whole = f" {normal(f'{document.title} . {document.text}')} "
    return [phrase for phrase in phrases if words(phrase) and f" {normal(phrase)} " in whole]


async def points_by_model(
    documents: Sequence[Document],
    runtime: Runtime,
    prompt: Prompt,
    *,
    seed: int = 0,
    deadline: float | None = None,
) -> list[list[str]]:
    """What a language model names as selling points of each document, less what does not stand in it.

    Where the model gives no answer that can be used, the document's points are those by code.

    Args:
        documents: The texts.
        runtime: Where the model runs.
        prompt: What it is told.
        seed: Of sampling.
        deadline: ``time.monotonic`` seconds.
    """
    structure = queries(_LONGEST, 48)
    requests = [
        Request(
            prompt=prompt,
            text=f"{document.title}. {document.text}"[:_SHOWN],
            structure=structure,
            max_tokens=96,
            temperature=0.0,
            seed=seed,
            deadline=deadline,
        )
        for document in documents
    ]
    found = []
    for document, answer in zip(documents, await runtime.generate(requests, deadline), strict=True):
        named: list[str] = []
        if not isinstance(answer, GenerationError):
            try:
                named = grounded(structure.parse(answer.text), document)
            except BadAnswer:
                named = []
        found.append(named or points(document))
    return found


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    """The runs of words that neither a stop word nor punctuation cuts, in lower case."""
    run: list[str] = []
    for piece in (*_RUN.findall(text.lower()), "."):
        if piece[0].isalpha() and piece not in _STOPS and len(piece) > 1:
            run.append(piece)
        elif run:
            yield tuple(run)
            run = []


def _cut(run: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """A run as a phrase; of one too long its stretches of the greatest length allowed."""
    if len(run) < _SHORTEST:
        return
    size = min(len(run), _LONGEST)
    for start in range(len(run) - size + 1):
        yield run[start : start + size]
