"""The light variant: a `ShopMemory` learnt over frozen vectors, in under a minute for some thousand titles.

For a shopper with the wants W (five texts) the vectors give every want a list p over the texts the shopper did not buy,

    p_w = softmax over texts of cos(w, text) / temperature

and the chance that a text is in one of the five lists of ten is taken as 1 - exp(-10 Σ_w p_w). The loss is minus the
logarithm of that chance, weighted over what the lists should hold (`lessons`): lists of one shopper are rewarded for
completing one another, since what one holds the others need not. Added to it is InfoNCE (van den Oord and others, 2018)
over pairs of a question and a text: searches, items looked at together, some words of a title and the title.

Of what was learnt a share is laid over: between the general encoder and the learnt one lie encoders that keep nearly
all the behaviour and more of the words (Wortsman and others, "Robust fine-tuning of zero-shot models", CVPR 2022).
Texts that compete are all of them while they are few, and else the batch's own, those mined, and some by chance.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from index.encoder_training.mining import belongs, mine
from index.encoders.shop_memory import MemoryRecord, ShopMemory, nearest_keys
from index.errors import CatalogError, EncoderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.channels.purchases import Ints
    from index.encoder_training.lessons import Lessons
    from index.encoders.encoder import Vectors

__all__ = ["Recipe", "train_projection"]

_LIST: Final = 10.0
_TINY: Final = 1e-6


class Recipe(BaseModel):
    """How the memory is learnt; chosen on Online Retail before July 2011."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=120, ge=2, description="Steps, half of them before the mining and half after.")
    shoppers: int = Field(default=256, ge=1, description="Shoppers in a step.")
    pairs: int = Field(default=128, ge=0, description="Pairs in a step.")
    rate: float = Field(default=3e-3, gt=0, description="Learning rate of Adam; falls to nothing in a line.")
    temperature: float = Field(default=0.05, gt=0, description="Divides the cosines in the loss.")
    nearest: int = Field(default=8, ge=1, description="Keys that a text looks up.")
    sharpness: float = Field(default=0.03, gt=0, description="Divides the cosines of the look-up.")
    sink: float = Field(default=0.85, description="Cosine from which a key outweighs having none.")
    hidden: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="How often a text may not look up its own key, as a new one cannot.",
    )
    columns: int = Field(default=4_096, ge=64, description="Texts that compete in a step, at most.")
    strength: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="Share of what was learnt that is laid over; less keeps more of the general encoder's words.",
    )
    words_weight: float = Field(default=1.0, ge=0, description="Weight of the pairs beside the shoppers.")


@dataclass(frozen=True, slots=True)
class _Looked:
    """What texts look up: keys (m, k) and cosines (m, k), as tensors."""

    general: Any
    where: Any
    cosines: Any


def train_projection(
    lessons: Lessons,
    vectors: Vectors,
    parts: Sequence[tuple[str, int]],
    part_vectors: Vectors,
    record: MemoryRecord,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> tuple[ShopMemory, dict[str, Any]]:
    """Learn a memory.

    Args:
        lessons: What is taught.
        vectors: (asked, d) the general encoder's of ``lessons.asked``.
        parts: Some words of titles with the titles' numbers.
        part_vectors: (parts, d) the general encoder's.
        record: The general encoder; the figures in it are replaced by the recipe's.
        recipe: How.
        seed: Of everything that is drawn.
        tell: Told how far it is.

    Returns:
        The memory, and figures: losses by round, seconds of this process's CPU.

    Raises:
        CatalogError: If the loss is no number any more.
        EncoderUnavailableError: If the general vectors are not finite, or torch is not installed.
    """
    torch = _torch()
    recipe = recipe or Recipe()
    if not (np.isfinite(vectors).all() and np.isfinite(part_vectors).all()):
        raise EncoderUnavailableError(
            "The general encoder gave vectors that are no numbers.", way_out="Train over another model."
        )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _Training(lessons, vectors, parts, part_vectors, recipe, seed, torch).run(record, tell)
    finally:
        torch.set_num_threads(before)


class _Training:
    def __init__(
        self,
        lessons: Lessons,
        vectors: Vectors,
        parts: Sequence[tuple[str, int]],
        part_vectors: Vectors,
        recipe: Recipe,
        seed: int,
        torch: Any,
    ) -> None:
        self.torch, self.recipe, self.lessons = torch, recipe, lessons
        self.random = np.random.default_rng(seed)
        self.texts = len(lessons.texts)
        self.keys = vectors
        # Questions are numbered on: texts, queries, then parts of titles, which are no keys.
        first = len(vectors)
        part_pairs = np.array(
            [(first + at, text) for at, (_, text) in enumerate(parts)], dtype=np.int64
        ).reshape(-1, 2)
        self.pairs = np.concatenate([lessons.pairs, part_pairs])
        seen = np.concatenate([np.sqrt(lessons.seen), np.ones(len(part_pairs))])
        self.chance = seen / seen.sum() if len(seen) else seen
        self.general = np.concatenate([vectors, part_vectors])
        where, cosines = nearest_keys(self.general, vectors, recipe.nearest)
        self.looked = _Looked(*(torch.from_numpy(one) for one in (self.general, where, cosines)))
        self.shifts = torch.zeros(vectors.shape, requires_grad=True)
        codes = part_pairs[:, 0] * self.texts + part_pairs[:, 1]
        self.positives = np.unique(np.concatenate([lessons.positives(), codes]))
        self.hard: Ints | None = None

    def run(
        self, record: MemoryRecord, tell: Callable[[str], None] | None
    ) -> tuple[ShopMemory, dict[str, Any]]:
        started = time.process_time()
        torch, recipe = self.torch, self.recipe
        adam = torch.optim.Adam([self.shifts], lr=recipe.rate, betas=(0.9, 0.99))
        rounds: list[list[float]] = [[], []]
        for step in range(recipe.steps):
            second = step >= recipe.steps // 2
            if second and self.hard is None:
                self.hard = self._mined()
            for group in adam.param_groups:
                group["lr"] = recipe.rate * max(0.02, 1.0 - step / recipe.steps)
            loss = self._loss()
            value = float(loss.detach())
            if not np.isfinite(value):
                raise CatalogError(
                    f"Training came to nothing: at step {step + 1} the loss is no number any more.",
                    way_out=f"Train with a smaller rate than {recipe.rate:g} or a larger temperature.",
                )
            rounds[second].append(value)
            adam.zero_grad()
            loss.backward()
            adam.step()
            if tell is not None and (step + 1) % 10 == 0:
                tell(f"learning: step {step + 1} of {recipe.steps}, loss {value:.3f}")
        memory = ShopMemory(
            self.keys,
            self.recipe.strength * self.shifts.detach().numpy().astype(np.float32),
            self._recorded(record),
        )
        tenth = max(1, recipe.steps // 20)
        figures = {
            "cpu_s": round(time.process_time() - started, 2),
            "loss_first": round(float(np.mean(rounds[0][:tenth])), 4),
            "loss_before_mining": round(float(np.mean(rounds[0][-tenth:])), 4),
            "loss_last": round(float(np.mean(rounds[1][-tenth:])), 4),
            "mined": int((self.hard >= 0).sum()) if self.hard is not None else 0,
        }
        return memory, figures

    def _recorded(self, record: MemoryRecord) -> MemoryRecord:
        figures = {name: getattr(self.recipe, name) for name in ("sharpness", "sink", "nearest")}
        return record.model_copy(update=figures)

    def _mined(self) -> Ints:
        with self.torch.no_grad():
            vectors = self._vectors(np.arange(len(self.general)), hide=False).numpy()
        return mine(vectors, vectors[: self.texts], self.positives)

    def _vectors(self, which: Ints, *, hide: bool = True) -> Any:
        """(m, d) by the memory as it is now; as `ShopMemory.lay_over`, with keys hidden by chance."""
        torch, recipe = self.torch, self.recipe
        at = torch.from_numpy(which)
        where, cosines = self.looked.where[at], self.looked.cosines[at]
        if hide and recipe.hidden:
            drawn = torch.from_numpy(self.random.random(len(which)) < recipe.hidden)
            cosines = cosines.masked_fill(drawn[:, None] & (where == at[:, None]), -9.0)
        none = torch.full_like(cosines[:, :1], recipe.sink)
        weights = (torch.cat([cosines, none], 1) / recipe.sharpness).softmax(1)[:, :-1]
        shift = (weights[:, :, None] * self.shifts[where]).sum(1)
        return torch.nn.functional.normalize(self.looked.general[at] + shift, dim=1)

    def _loss(self) -> Any:
        torch, recipe, lessons = self.torch, self.recipe, self.lessons
        many = len(lessons.wants)
        chosen = self.random.choice(many, min(recipe.shoppers, many), replace=False)
        drawn = (
            self.pairs[self.random.choice(len(self.pairs), recipe.pairs, p=self.chance)]
            if recipe.pairs and len(self.pairs)
            else np.empty((0, 2), dtype=np.int64)
        )
        wants, at = np.unique(lessons.wants[chosen], return_inverse=True)
        columns = self._columns(chosen, drawn, wants)
        place = np.full(self.texts, -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        offered = self._vectors(columns)

        logits = self._vectors(wants) @ offered.T / recipe.temperature
        raised = torch.exp(logits - logits.max(dim=1, keepdim=True).values.detach())
        free = np.ones((len(chosen), len(columns)), dtype=np.float32)
        for row, shopper in enumerate(chosen.tolist()):
            mine_ = place[lessons.bought[shopper]]
            free[row, mine_[mine_ >= 0]] = 0.0
        at_wants = torch.from_numpy(at.reshape(len(chosen), -1))
        totals = torch.stack(
            [(raised[at_wants[:, one]] * torch.from_numpy(free)).sum(1) for one in range(at_wants.shape[1])],
            1,
        )
        targets = torch.from_numpy(place[lessons.follow[chosen]])
        shares = raised[at_wants[:, :, None], targets[:, None, :]] / totals.clamp_min(_TINY)[:, :, None]
        covered = 1.0 - torch.exp(-_LIST * shares.sum(1))
        loss = -(torch.from_numpy(lessons.weights[chosen]) * torch.log(covered + _TINY)).sum(1).mean()
        if len(drawn) and recipe.words_weight:
            asked = self._vectors(drawn[:, 0]) @ offered.T / recipe.temperature
            other = belongs(drawn[:, [0]] * self.texts + columns[None, :], self.positives)
            other[np.arange(len(drawn)), place[drawn[:, 1]]] = False
            asked = asked.masked_fill(torch.from_numpy(other), -1e4)
            truth = torch.from_numpy(place[drawn[:, 1]])
            loss = loss + recipe.words_weight * torch.nn.functional.cross_entropy(asked, truth)
        return loss

    def _columns(self, chosen: Ints, drawn: Ints, wants: Ints) -> Ints:
        if self.texts <= self.recipe.columns:
            return np.arange(self.texts)
        must = np.unique(np.concatenate([self.lessons.follow[chosen].ravel(), drawn[:, 1]]))
        hard = np.empty(0, dtype=np.int64)
        if self.hard is not None:
            rows = self.hard[np.concatenate([wants, drawn[:, 0]])]
            hard = np.unique(rows[rows >= 0])
        left = max(0, self.recipe.columns - len(must))
        if len(hard) > left // 2:
            hard = self.random.choice(hard, left // 2, replace=False)
        chance = self.random.choice(self.texts, max(0, left - len(hard)), replace=False)
        return np.unique(np.concatenate([must, hard, chance]))


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415 - not in the base install, and slow to import
    except ImportError as error:
        raise EncoderUnavailableError(
            "Training an encoder needs torch.", way_out="Install nearline[local]."
        ) from error
    return torch
