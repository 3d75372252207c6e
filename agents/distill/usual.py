"""What a student writes for everybody: the mean of its probabilities over shoppers, kept beside it.

Taken away from what it writes for one shopper (`agents.student.personal`), it leaves what is that shopper's own. The teachers'
mean is no substitute: a student is surer of some titles than its teachers and less sure of others, whoever it writes for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agents.distill.form import JOIN, LINES, question
from agents.words import normal

if TYPE_CHECKING:
    from pathlib import Path

    from agents.distill.pairs import Pairs

__all__ = ["PHRASES", "write_usual"]

PHRASES: Final = "phrases.tsv"
"""By line a phrase and its share."""

_LEAST_HAD: Final = 5
_WRITTEN: Final = 300
_BATCH: Final = 16


def write_usual(folder: Path, pairs: Pairs, *, newest: int, seed: int = 0, shoppers: int = 400) -> None:
    """Measure a saved student on some histories of its pairs, and write the shares into its folder.

    Args:
        folder: The student; its shares so far are replaced.
        pairs: What it was trained on; histories of some titles are drawn, all where there are few.
        newest: Most titles of a history that the student reads.
        seed: Of the draw.
        shoppers: Over how many.

    Raises:
        ModelError: the folder is no student.
    """
    from agents.runtime.student.engine import Engine, Question  # noqa: PLC0415  # which reads the form from this package

    engine = Engine(folder)
    engine.offer(pairs.phrases)
    lengths = np.diff(pairs.starts)
    long = np.flatnonzero(lengths >= _LEAST_HAD)
    among = long if len(long) >= shoppers else np.arange(len(pairs))
    chosen = np.random.default_rng(seed).permutation(among)[:shoppers].tolist()
    total = dict.fromkeys(pairs.phrases, 0.0)
    for start in range(0, len(chosen), _BATCH):
        questions = []
        for pair in chosen[start : start + _BATCH]:
            had = [pairs.phrases[number] for number in pairs.history(pair)]
            text = f"{LINES[1]}{JOIN.join(had[-newest:])}"
            questions.append(Question(question(text), _WRITTEN, banned=frozenset(map(normal, had))))
        for written in engine.write(questions):
            for phrase, probability in zip(written.phrases, written.probabilities, strict=True):
                total[phrase] += probability
    (folder / PHRASES).write_text(
        "".join(f"{phrase}\t{mass / max(len(chosen), 1):.3g}\n" for phrase, mass in total.items()),
        encoding="utf-8",
    )
