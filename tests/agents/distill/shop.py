"""A shop with two kinds of shoppers: their pairs, and a small student of it that is really trained."""

from pathlib import Path

from agents.distill.pairs import Pair, Pairs, read_pairs, write_pairs
from agents.distill.settings import TrainSettings

GARDEN = [
    f"garden {thing}" for thing in ("spade", "rake", "hose", "gloves", "pots", "seeds", "gnome", "bench")
]
KITCHEN = [
    f"kitchen {thing}" for thing in ("scales", "whisk", "jars", "apron", "timer", "bowls", "tins", "knife")
]
PHRASES = [*GARDEN, *KITCHEN]
SETTINGS = TrainSettings(
    vocabulary=600, hidden=64, layers=1, feed_forward=64, warm_steps=120, warm_batch=64, steps=160, batch=32, answers=3,
    threads=1, seed=3,
)  # fmt: skip


def pairs_in(folder: Path) -> Pairs:
    """Pairs of histories within one kind, written to a folder and read again."""
    made = []
    for start in (0, 8):
        for at in range(120):
            had = [start + at % 8, start + (at * 3 + 1) % 8]
            wants = [start + each for each in range(8) if start + each not in had]
            made.append(Pair(tuple(dict.fromkeys(had)), tuple(wants), (1.0,) * len(wants)))
    write_pairs(folder, dict.fromkeys(PHRASES, 10), made, {"cutoff": "2011-08-01"})
    return read_pairs(folder)


def student_in(folder: Path, pairs: Pairs) -> Path:
    """A student of these pairs, with its card."""
    from agents.distill.card import write_card
    from agents.distill.train import train

    train(pairs, SETTINGS, folder)
    write_card(folder)
    return folder
