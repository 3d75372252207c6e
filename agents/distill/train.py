"""Training a student: the head start, then the whole; interrupted at any moment, it goes on from its last checkpoint."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.utils import clip_grad_norm_

from agents.distill.batches import Batch, Batches
from agents.distill.course import Compact
from agents.distill.export import CHECKPOINT
from agents.distill.form import END, PAD, PROMPT
from agents.distill.pairs import usual_shares
from agents.distill.settings import TrainSettings
from agents.distill.usual import write_usual
from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.distill.course import Course, Stage
    from agents.distill.pairs import Pairs
    from agents.distill.settings import GemmaSettings

__all__ = ["CHECKPOINT", "Progress", "train"]

_WARM_UP: Final = 40
_LAST_RATE: Final = 0.03
_DECAY: Final = 0.02
_SMOOTH: Final = 0.98


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training is.

    Attributes:
        stage: ``head start`` or ``student``.
        step: Steps done in this stage.
        steps: Of so many.
        loss: Cross-entropy with the teacher in nats a piece, smoothed. It cannot fall below the teacher's own uncertainty.
        seconds: CPU seconds of this process so far.
    """

    stage: str
    step: int
    steps: int
    loss: float
    seconds: float


def train(
    pairs: Pairs,
    settings: TrainSettings | GemmaSettings,
    folder: Path,
    *,
    tell: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a student and save it: ``config.json``, ``model.safetensors``, ``tokenizer.json``, ``student.json``.

    A checkpoint in the folder is continued if it is of the same pairs and settings, and begun anew if not.

    Returns:
        What ``student.json`` says: settings, losses, seconds, the pairs' manifest.

    Raises:
        DistillError: if the device is not there, memory runs out, or the loss is no number any more.
    """
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise DistillError(f"there is no device {settings.device!r} here.", way_out="Train on cpu.")
    torch.set_num_threads(settings.threads)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(pairs, _course(settings), folder, tell)
    try:
        facts = run.finish()
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise DistillError(
            f"memory ran out while training ({error}).",
            way_out="Lower batch and warm_batch; training goes on from the last checkpoint if nothing else changes.",
        ) from error
    write_usual(folder, pairs, newest=settings.history, seed=settings.seed, shoppers=settings.usual)
    return facts


def _course(settings: TrainSettings | GemmaSettings) -> Course:
    if isinstance(settings, TrainSettings):
        return Compact(settings)
    from agents.distill.gemma import Gemma  # noqa: PLC0415  # reads Gemma's tokenizer

    return Gemma(settings)


class _Run:
    """One training with everything that a checkpoint holds."""

    def __init__(self, pairs: Pairs, course: Course, folder: Path, tell: Callable[[Progress], None]) -> None:
        self._course = course
        self._settings = settings = course.settings
        self._folder = folder
        self._tell = tell
        self._manifest = pairs.manifest
        self._phrases = pairs.phrases
        self._usual = usual_shares(pairs).tolist()
        # What does not change the result may change between two parts of a training.
        same = settings.model_dump(mode="json", exclude={"threads", "checkpoint_s", "device", "cache"})
        self._same = json.dumps([same, pairs.manifest, len(pairs)], sort_keys=True)
        saved = self._saved()
        self._tokenizer = course.tokenizer(pairs) if saved is None else Tokenizer.from_str(saved["tokenizer"])
        self._batches = Batches(pairs, self._tokenizer, settings)
        self._stages: list[dict[str, Any]] = saved["stages"] if saved else []
        self._losses: dict[str, float] = {}
        self._spent: float = saved["seconds"] if saved else 0.0
        self._began = time.process_time()

    def finish(self) -> dict[str, Any]:
        """Do what is left, save the student and remove the checkpoint."""
        for at, stage in enumerate(self._course.stages(self._tokenizer)):
            self._losses[stage.name] = self._stage(at, stage)
        return self._save(self._course.student())

    def _stage(self, at: int, stage: Stage) -> float:
        """Train one stage from where its checkpoint left it; returns its loss."""
        learnt = {name: one for name, one in stage.model.named_parameters() if one.requires_grad}
        optimiser = torch.optim.AdamW(_groups(stage, learnt), lr=stage.rate, betas=(0.9, 0.98))
        random = np.random.default_rng([self._settings.seed, at])
        done, loss = 0, math.nan
        if at < len(self._stages):
            saved = self._stages[at]
            stage.model.load_state_dict(saved["model"], strict=False)
            done, loss = saved["step"], saved["loss"]
            if done < stage.steps:
                optimiser.load_state_dict(saved["optimiser"])
            random.bit_generator.state = saved["random"]
        else:
            self._stages.append({})
        last = time.monotonic()
        stage.model.train()
        for step in range(done, stage.steps):
            factor = min(1.0, (step + 1) / _WARM_UP) * (
                _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / stage.steps))
            )
            for group in optimiser.param_groups:
                group["lr"] = stage.rate * group["share"] * factor
            batch = self._batches.draw(random, stage.batch, stage.answers)
            value = _learn(stage.forward, batch, self._settings.device)
            now = float(value.detach())
            if not math.isfinite(now):
                raise DistillError(
                    f"the loss is no number any more at step {step} of the {stage.name}.",
                    way_out="Lower the rate.",
                )
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            clip_grad_norm_(learnt.values(), 1.0)
            optimiser.step()
            loss = now if math.isnan(loss) else _SMOOTH * loss + (1 - _SMOOTH) * now
            self._tell(Progress(stage.name, step + 1, stage.steps, loss, self._seconds()))
            if step + 1 == stage.steps or time.monotonic() - last > self._settings.checkpoint_s:
                # Adam's memory of a finished stage is of no use.
                kept = {} if step + 1 == stage.steps else optimiser.state_dict()
                self._stages[at] = {
                    "model": {name: one.detach() for name, one in learnt.items()},
                    "optimiser": kept,
                    "random": random.bit_generator.state,
                    "step": step + 1,
                    "loss": loss,
                }
                self._keep()
                last = time.monotonic()
        return loss

    def _seconds(self) -> float:
        return self._spent + time.process_time() - self._began

    def _saved(self) -> dict[str, Any] | None:
        """The checkpoint, if there is one of this training."""
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return None
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            # torch.load raises whatever its parts raise; all of it means the same here.
            raise DistillError(
                f"the checkpoint {path} cannot be read ({error}).", way_out="Delete it to begin anew."
            ) from error
        return saved if saved.get("same") == self._same else None

    def _keep(self) -> None:
        path = self._folder / CHECKPOINT
        beside = path.with_suffix(".new")
        state = {
            "same": self._same,
            "tokenizer": self._tokenizer.to_str(),
            "stages": self._stages,
            "seconds": self._seconds(),
        }
        try:
            torch.save(state, beside)
        except (OSError, RuntimeError) as error:
            raise DistillError(
                f"the checkpoint {beside} cannot be written ({error}).", way_out="Free some disk."
            ) from error
        beside.replace(path)

    def _save(self, model: Any) -> dict[str, Any]:
        """Write the student beside its place, then put each file there whole."""
        beside = self._folder / ".new"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        # Half precision halves the file; what reads it computes in float32 all the same.
        model.to(torch.float16).save_pretrained(beside)
        config = json.loads((beside / "config.json").read_text(encoding="utf-8"))
        config["dtype"] = "float32"
        (beside / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        self._tokenizer.save(str(beside / "tokenizer.json"))
        tokens: dict[str, str | bool] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": PAD,
            "eos_token": END,
        }
        tokens |= {"clean_up_tokenization_spaces": False, "add_bos_token": False}
        (beside / "tokenizer_config.json").write_text(json.dumps(tokens, indent=2) + "\n", encoding="utf-8")
        (beside / "phrases.tsv").write_text(
            "".join(
                f"{phrase}\t{share:.3g}\n" for phrase, share in zip(self._phrases, self._usual, strict=True)
            ),
            encoding="utf-8",
        )
        facts = {
            "prompt": PROMPT,
            "parameters": sum(one.numel() for one in model.parameters()),
            "made_from": self._course.made_from,
            "settings": self._settings.model_dump(mode="json", exclude={"threads", "checkpoint_s", "cache"}),
            "loss": self._losses,
            "cpu_seconds": round(self._seconds(), 1),
            "pairs": self._manifest,
        }
        (beside / "student.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for file in sorted(beside.iterdir()):
            # Weights are written readable by their owner alone; a server may be somebody else.
            file.chmod(0o644)
            file.replace(self._folder / file.name)
        beside.rmdir()
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
        return facts


def _groups(stage: Stage, learnt: dict[str, Any]) -> list[dict[str, Any]]:
    """What learns, by whether its weights decay and at which share of the rate."""
    embeddings = getattr(stage.model, "get_input_embeddings", None)
    rows = embeddings().weight if embeddings is not None and stage.rows_rate != 1.0 else None
    decayed = [one for one in learnt.values() if one.dim() > 1 and one is not rows]
    rest = [one for one in learnt.values() if one.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": _DECAY, "share": 1.0},
        {"params": rest, "weight_decay": 0.0, "share": 1.0},
    ]
    if rows is not None:
        groups.append({"params": [rows], "weight_decay": 0.0, "share": stage.rows_rate})
    return [group for group in groups if group["params"]]


def _learn(forward: Any, batch: Batch, device: str) -> torch.Tensor:
    """Cross-entropy of the student against the teacher's shares, mean over places."""
    ids, rows, columns, pieces = (
        torch.from_numpy(one).to(device) for one in (batch.ids, batch.rows, batch.columns, batch.pieces)
    )
    weights = torch.from_numpy(batch.weights).to(device)
    logits = forward(ids, rows, columns)
    cross = torch.logsumexp(logits, dim=1) - (weights * logits.gather(1, pieces)).sum(dim=1)
    return cross.mean()
