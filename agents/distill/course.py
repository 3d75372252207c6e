"""What is trained for a student of each size, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from agents.distill.student import Bag, make_student
from agents.distill.tokenizer import train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

    from agents.distill.pairs import Pairs
    from agents.distill.settings import Lessons, TrainSettings

__all__ = ["Compact", "Course", "Stage", "Whole"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training.

    Attributes:
        name: As progress is told.
        model: What learns: its parameters that require a gradient.
        forward: From ids, rows and columns to the logits of what follows at these places.
        steps: How many.
        batch: Pairs in a step.
        answers: Titles of one answer.
        rate: The highest learning rate.
        rows_rate: The share of it for the vocabulary's rows.
    """

    name: str
    model: Any
    forward: Any
    steps: int
    batch: int
    answers: int
    rate: float
    rows_rate: float = 1.0


class Course(Protocol):
    """How a student of one size comes about."""

    @property
    def settings(self) -> Lessons:
        """What training was told."""
        ...

    @property
    def made_from(self) -> str:
        """What it is made from, for the model card."""
        ...

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """The tokenizer for a shop."""
        ...

    def stages(self, tokenizer: Tokenizer) -> Iterator[Stage]:
        """The stages; each is trained before the next is asked for."""
        ...

    def student(self) -> Any:
        """The student after its last stage, as transformers saves it."""
        ...


class Compact:
    """The compact student: its head start, then the whole.

    Args:
        settings: Its size and how it learns.
    """

    made_from = "Trained from nothing; no other model's weights or texts are in it."

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self._model: Any = None

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """A tokenizer of the shop's own words and titles."""
        sold = dict(zip(pairs.phrases, pairs.sold.tolist(), strict=True))
        return train_tokenizer(sold, words=self.settings.words, size=self.settings.vocabulary)

    def stages(self, tokenizer: Tokenizer) -> Iterator[Stage]:
        """The head start, where there is one, and the student."""
        settings = self.settings
        bag = None
        if settings.warm_steps:
            torch.manual_seed(settings.seed)
            bag = Bag(tokenizer.get_vocab_size(), settings.hidden).to(settings.device)
            yield Stage(
                "head start", bag, bag, settings.warm_steps, settings.warm_batch, 1, settings.warm_rate
            )
        torch.manual_seed(settings.seed)
        self._model = make_student(settings, tokenizer, bag).to(settings.device)
        yield Stage(
            "student",
            self._model,
            Whole(self._model),
            settings.steps,
            settings.batch,
            settings.answers,
            settings.rate,
        )

    def student(self) -> Any:
        """The trained `LlamaForCausalLM`."""
        return self._model


class Whole:
    """A student's logits at some places only: those of all places would be most of the work."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, ids: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """The logits of the pieces that follow the places."""
        # Padding is on the right, where a causal model does not see it.
        hidden = self._model.model(input_ids=ids, use_cache=False).last_hidden_state
        logits: torch.Tensor = self._model.lm_head(hidden[rows, columns])
        return logits
