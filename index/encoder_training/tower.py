"""The thorough variant: the general encoder itself, fine-tuned with sentence-transformers.

Both towers, questions and titles, share their weights. Each step takes pairs (a want of a shopper, a text that the
shopper's lists should hold; or a question and a text that belongs to it) and sets every text of the batch against it,
in the second round also a mined one (`MultipleNegativesRankingLoss`, or its cached form where a batch is computed in
parts). Titles are cut at 48 tokens while training.

A checkpoint is written beside the result every ``save_every`` steps, and a run with the same lessons and recipe goes on from
it; a checkpoint of other lessons, or one that cannot be read, is set aside and training begins anew.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from index.encoder_training.mining import mine
from index.errors import CatalogError, EncoderUnavailableError
from nearline import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from index.channels.purchases import Ints
    from index.encoder_training.lessons import Lessons

__all__ = ["TowerRecipe", "train_tower"]

_STATE: Final = "state.pt"
_TOKENS: Final = 48


class TowerRecipe(BaseModel):
    """How the model is fine-tuned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=600, ge=2, description="Steps, half of them before the mining and half after.")
    batch: int = Field(default=64, ge=2, description="Pairs in a step.")
    part: int = Field(
        default=64, ge=1, description="Texts that are computed at once; fewer take less memory."
    )
    rate: float = Field(default=3e-5, gt=0, description="Learning rate of AdamW after a tenth of warming up.")
    scale: float = Field(default=20.0, gt=0, description="Multiplies the cosines in the loss.")
    save_every: int = Field(default=50, ge=1, description="Steps between two checkpoints.")


@dataclass(slots=True)
class _State:
    step: int = 0
    hard: Any = None
    losses: tuple[float, ...] = ()
    cpu_s: float = 0.0


def train_tower(
    lessons: Lessons,
    base: Path,
    parts: Sequence[tuple[str, int]],
    work: Path,
    *,
    recipe: TowerRecipe | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    tell: Callable[[str], None] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Fine-tune the model in a folder.

    Args:
        lessons: What is taught.
        base: Folder of the model to begin with.
        parts: Some words of titles with the titles' numbers.
        work: Folder of the checkpoint; made, and the caller's to delete when the model is safe.
        recipe: How.
        seed: Of everything that is drawn.
        device: Torch's name of the device.
        threads: CPU threads.
        tell: Told how far it is.

    Returns:
        The sentence-transformers model, and figures: losses, steps resumed at, seconds of CPU.

    Raises:
        CatalogError: If the loss is no number any more, or the checkpoint cannot be written.
        EncoderUnavailableError: If a package is missing or the model cannot be loaded.
    """
    torch, library = _packages()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tower = _Tower(lessons, base, parts, recipe or TowerRecipe(), seed, device, torch, library)
        return tower.run(work, tell)
    finally:
        torch.set_num_threads(before)


class _Tower:
    def __init__(
        self,
        lessons: Lessons,
        base: Path,
        parts: Sequence[tuple[str, int]],
        recipe: TowerRecipe,
        seed: int,
        device: str,
        torch: Any,
        library: Any,
    ) -> None:
        self.lessons, self.recipe, self.seed, self.torch, self.device = lessons, recipe, seed, torch, device
        try:
            self.model = library.SentenceTransformer(str(base), device=device, local_files_only=True)
        except Exception as error:
            raise EncoderUnavailableError(
                f"The embedding model in {base} cannot be loaded on {device}: {error}",
                way_out="Check that the folder is whole and the device there.",
            ) from error
        self.length = self.model.max_seq_length
        losses = _losses()
        self.loss = (
            losses.MultipleNegativesRankingLoss(self.model, scale=recipe.scale)
            if recipe.part >= recipe.batch
            else losses.CachedMultipleNegativesRankingLoss(
                self.model, scale=recipe.scale, mini_batch_size=recipe.part
            )
        )
        self.asked = [*lessons.asked, *(text for text, _ in parts)]
        part_pairs = [(len(lessons.asked) + at, text) for at, (_, text) in enumerate(parts)]
        self.pairs = np.concatenate([lessons.pairs, np.array(part_pairs, dtype=np.int64).reshape(-1, 2)])
        n = len(lessons.texts)
        codes = self.pairs[:, 0] * n + self.pairs[:, 1]
        self.positives = np.unique(np.concatenate([lessons.positives(), codes]))
        self.identity = sha256(
            json.dumps([self.asked, self.pairs.tolist(), recipe.model_dump(), seed, str(base)]).encode()
            + lessons.wants.tobytes()
            + lessons.follow.tobytes()
        ).hexdigest()

    def run(self, work: Path, tell: Callable[[str], None] | None) -> tuple[Any, dict[str, Any]]:
        torch, recipe = self.torch, self.recipe
        adam = torch.optim.AdamW(self.model.parameters(), lr=recipe.rate)
        state = self._resumed(work, adam)
        resumed, losses = state.step, list(state.losses)
        started = time.process_time()
        self.model.train()
        self.model.max_seq_length = min(_TOKENS, self.length or _TOKENS)
        for step in range(state.step, recipe.steps):
            if step >= recipe.steps // 2 and state.hard is None:
                if tell is not None:
                    tell("mining hard negatives")
                state.hard = self._mined()
            for group in adam.param_groups:
                group["lr"] = recipe.rate * self._pace(step)
            loss = self.loss(self._batch(step, state.hard), None)
            value = float(loss.detach())
            if not np.isfinite(value):
                shutil.rmtree(work, ignore_errors=True)
                raise CatalogError(
                    f"Training came to nothing: at step {step + 1} the loss is no number any more.",
                    way_out=f"Train with a smaller rate than {recipe.rate:g}.",
                )
            losses.append(value)
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            adam.step()
            if tell is not None:
                tell(f"fine-tuning: step {step + 1} of {recipe.steps}, loss {value:.3f}")
            if (step + 1) % recipe.save_every == 0 and step + 1 < recipe.steps:
                spent = state.cpu_s + time.process_time() - started
                self._save(work, adam, _State(step + 1, state.hard, tuple(losses), spent))
        self.model.eval()
        self.model.max_seq_length = self.length
        tenth = max(1, recipe.steps // 20)
        half = recipe.steps // 2
        return self.model, {
            "cpu_s": round(state.cpu_s + time.process_time() - started, 1),
            "resumed_at": resumed,
            "loss_first": round(float(np.mean(losses[:tenth])), 4),
            "loss_before_mining": round(float(np.mean(losses[max(0, half - tenth) : half])), 4),
            "loss_last": round(float(np.mean(losses[-tenth:])), 4),
            "mined": int((state.hard >= 0).sum()) if state.hard is not None else 0,
        }

    def _pace(self, step: int) -> float:
        warm = max(1, self.recipe.steps // 10)
        return min((step + 1) / warm, max(0.02, 1.0 - step / self.recipe.steps))

    def _batch(self, step: int, hard: Ints | None) -> list[Any]:
        # Keyed by the step, so that a resumed run draws what it would have drawn.
        random = np.random.default_rng([self.seed, step])
        lessons, many = self.lessons, self.recipe.batch
        words = random.choice(len(self.pairs), many // 4) if len(self.pairs) else np.empty(0, dtype=np.int64)
        shoppers = random.integers(0, len(lessons.wants), many - len(words))
        wants = lessons.wants[shoppers, random.integers(0, lessons.wants.shape[1], len(shoppers))]
        reach = np.cumsum(lessons.weights[shoppers], axis=1)
        place = (reach < random.random((len(shoppers), 1)) * reach[:, -1:]).sum(axis=1)
        texts = lessons.follow[shoppers, np.minimum(place, reach.shape[1] - 1)]
        asked = np.concatenate([wants, self.pairs[words, 0]])
        texts = np.concatenate([texts, self.pairs[words, 1]])
        columns = [[self.asked[at] for at in asked], [lessons.texts[at] for at in texts]]
        if hard is not None:
            rows = hard[asked, random.integers(0, hard.shape[1], len(asked))]
            rows = np.where(rows >= 0, rows, random.integers(0, len(lessons.texts), len(asked)))
            columns.append([lessons.texts[at] for at in rows])
        # Named `tokenize` before sentence-transformers 6.
        read = getattr(self.model, "preprocess", None) or self.model.tokenize
        made = [read(column) for column in columns]
        return [
            {
                name: value.to(self.device) if hasattr(value, "to") else value
                for name, value in features.items()
            }
            for features in made
        ]

    def _mined(self) -> Ints:
        self.model.eval()
        vectors = self.model.encode(self.asked, show_progress_bar=False, normalize_embeddings=True)
        self.model.train()
        whole = np.asarray(vectors, dtype=np.float32)
        return mine(whole, whole[: len(self.lessons.texts)], self.positives)

    def _save(self, work: Path, adam: Any, state: _State) -> None:
        try:
            content = {
                "identity": self.identity,
                "model": self.model.state_dict(),
                "adam": adam.state_dict(),
                "step": state.step,
                "hard": None if state.hard is None else self.torch.from_numpy(state.hard),
                "losses": list(state.losses),
                "cpu_s": state.cpu_s,
            }
            with written_whole(work / _STATE) as beside:
                self.torch.save(content, beside)
        except (OSError, RuntimeError) as error:
            raise CatalogError(
                f"The checkpoint in {work} cannot be written ({error}).",
                way_out="Check disk and permissions.",
            ) from error

    def _resumed(self, work: Path, adam: Any) -> _State:
        path = work / _STATE
        if not path.is_file():
            return _State()
        try:
            content = self.torch.load(path, map_location=self.device, weights_only=True)
            ours = content["identity"] == self.identity
        except Exception:  # noqa: BLE001 - torch raises many kinds for a file cut short
            ours = False
        if not ours:
            path.replace(work / f"{_STATE}.unusable")
            return _State()
        self.model.load_state_dict(content["model"])
        adam.load_state_dict(content["adam"])
        hard = content["hard"]
        return _State(
            content["step"],
            None if hard is None else hard.cpu().numpy(),
            tuple(content["losses"]),
            content["cpu_s"],
        )


def _losses() -> Any:
    try:
        from sentence_transformers.sentence_transformer import losses  # noqa: PLC0415 - loads torch
    except ImportError:  # before sentence-transformers 6
        from sentence_transformers import losses  # noqa: PLC0415 - as above
    return losses


def _packages() -> tuple[Any, Any]:
    try:
        import sentence_transformers  # noqa: PLC0415 - not in the base install, and slow to import
        import torch  # noqa: PLC0415 - as above
    except ImportError as error:
        raise EncoderUnavailableError(
            f"Fine-tuning an encoder needs a package that is missing: {error.name}.",
            way_out="Install nearline[local].",
        ) from error
    return torch, sentence_transformers
