"""What a student thought of what shoppers really bought next: nats a title, beside a stranger's and everybody's.

A loss on purchases that the student has not seen tells learning from memorising. That it falls below the loss by what
everybody wants tells knowing the shopper from knowing the bestsellers; that a stranger's history does worse tells the same again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from agents.distill.form import BETWEEN, CLOSE, JOIN, LINES, question
from agents.distill.tokenizer import piece
from agents.distill.usual import PHRASES
from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Bought", "HeldOut", "held_out"]

_TITLES: Final = 4
_LEAST: Final = 1e-6
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class Bought:
    """What a shopper had, the newest last, and what they bought next; as phrases (`agents.distill.form.phrases`)."""

    had: tuple[str, ...]
    next: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Means over shoppers of -log p of a title that was bought next, in nats, written first and to its end.

    Attributes:
        shoppers: Over so many.
        nats_a_title: After the shopper's own history.
        nats_a_piece: The same by the pieces that a title has, its end among them.
        swapped: After somebody else's history.
        by_what_everybody_wants: By the shares that the student gives to titles whoever it writes for.
    """

    shoppers: int
    nats_a_title: float
    nats_a_piece: float
    swapped: float
    by_what_everybody_wants: float


def held_out(
    folder: Path,
    shoppers: Sequence[Bought],
    *,
    newest: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> HeldOut:
    """Ask a student, by its whole vocabulary and without any constraint; at most four titles of each shopper.

    Args:
        folder: The student.
        shoppers: Titles that the student was not trained on do not count, nor do shoppers who bought no other.
        newest: Most titles of a history.
        seed: Of which titles are asked about.
        tell: Told how far it is.

    Raises:
        DistillError: the folder is no student, or of fewer than two shoppers there is something to ask.
    """
    try:
        rows = (folder / PHRASES).read_text(encoding="utf-8").splitlines()
        usual = {phrase: float(share) for phrase, share in (row.split("\t") for row in rows)}
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        ).eval()
    except Exception as error:
        # Tokenizers raise plain Exception; whatever it is, there is no student.
        raise DistillError(
            f"the student in {folder} cannot be loaded ({error}).",
            way_out="Name a folder that `nearline distill train` wrote.",
        ) from error
    random = np.random.default_rng(seed)
    asked: list[tuple[str, list[str]]] = []
    for one in shoppers:
        known = [phrase for phrase in one.next if phrase in usual]
        if one.had and known:
            chosen = sorted(random.permutation(len(known))[:_TITLES].tolist())
            text = question(f"{LINES[1]}{JOIN.join(one.had[-newest:])}")
            asked.append((text, [known[at] for at in chosen]))
    if len(asked) < _FEWEST:
        raise DistillError(
            "hardly anybody bought something next that the student knows.",
            way_out="Give purchases of the student's own shop that go on after its cutoff.",
        )
    ends = (piece(tokenizer, BETWEEN), piece(tokenizer, CLOSE))
    own, apiece, strange, everybody = [], [], [], []
    # Everybody's history is some other one's once.
    order = random.permutation(len(asked))
    stranger = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    mass = sum(usual.values()) + _LEAST * len(usual)
    for at, (text, titles) in enumerate(asked):
        tell(f"held-out purchases: shopper {at + 1:,} of {len(asked):,}")
        spelt = [tokenizer.encode(title).ids for title in titles]
        nats = _nats(model, tokenizer.encode(text).ids, spelt, ends)
        own.append(nats.mean())
        apiece.append((nats / [len(ids) + 1 for ids in spelt]).mean())
        strange.append(_nats(model, tokenizer.encode(asked[stranger[at]][0]).ids, spelt, ends).mean())
        everybody.append(np.mean([-np.log((usual[title] + _LEAST) / mass) for title in titles]))
    return HeldOut(len(asked), *(float(np.mean(one)) for one in (own, apiece, strange, everybody)))


def _nats(
    model: Any, text: Sequence[int], titles: Sequence[Sequence[int]], ends: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """(titles,) -log p of each title after a text, to its end, which either of two pieces is."""
    longest = max(map(len, titles))
    ids = torch.tensor([[*text, *title, *[0] * (longest - len(title))] for title in titles])
    with torch.inference_mode():
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, len(text) - 1 :]
        logs = torch.log_softmax(model.lm_head(hidden).double(), dim=-1).numpy()
    found = [
        -sum(logs[row, at, one] for at, one in enumerate(title))
        - np.logaddexp(*(logs[row, len(title), end] for end in ends))
        for row, title in enumerate(titles)
    ]
    return np.array(found)
