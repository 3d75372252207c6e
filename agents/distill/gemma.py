"""The second size of student: Gemma 3 270M with its vocabulary cut to a shop's, fine-tuned on the same pairs.

Without the rows that a shop has no use for, 268 million parameters become 106 million. A joined piece
(`agents.distill.gemma_vocabulary`) begins as the mean of the pieces that it is made of, so it means from the start what they mean.
The rows are learnt whole, the layers by matrices of low rank beside their own (Hu and others, "LoRA: Low-Rank Adaptation of
Large Language Models", ICLR 2022), which are added up when the student is saved: what is served is a plain Gemma 3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from agents.distill.course import Stage, Whole
from agents.distill.form import END, PAD
from agents.distill.gemma_vocabulary import cut_tokenizer, rows_of
from agents.distill.tokenizer import piece
from agents.errors import DistillError
from agents.runtime.weights import locate
from agents.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agents.distill.pairs import Pairs
    from agents.distill.settings import GemmaSettings

__all__ = ["Gemma"]

_CONTEXT: Final = 512
"""Tokens of a text: within Gemma's sliding window every layer sees all of it."""


class LowRank(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """A linear layer that stays as it is, and a product of two small matrices that is learnt beside it."""

    def __init__(self, own: nn.Linear, rank: int) -> None:
        super().__init__()
        self.own = own
        self.down = nn.Parameter(torch.empty(rank, own.in_features))
        self.up = nn.Parameter(torch.zeros(own.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        out: torch.Tensor = self.own(x) + functional.linear(functional.linear(x, self.down), self.up)
        return out

    def whole(self) -> nn.Linear:
        """The one linear layer that computes the same."""
        with torch.no_grad():
            self.own.weight += self.up @ self.down
        return self.own


class Gemma:
    """The course of the pruned Gemma.

    Args:
        settings: What is kept of it and how it learns.
    """

    made_from = (
        "Made from Gemma 3 270M (Google), with the vocabulary cut to the shop's and fine-tuned. Gemma is provided under and subject to "
        "the Gemma Terms of Use found at ai.google.dev/gemma/terms; they apply to this student too."
    )

    def __init__(self, settings: GemmaSettings) -> None:
        self.settings = settings
        self._folder: Path = locate(LocalSettings(model=settings.model, cache=settings.cache))
        self._whole: Tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._model: Any = None

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """Gemma's tokenizer, cut to the shop."""
        sold = dict(zip(pairs.phrases, pairs.sold.tolist(), strict=True))
        settings = self.settings
        return cut_tokenizer(self._whole, sold, commonest=settings.commonest, more=settings.joined)

    def stages(self, tokenizer: Tokenizer) -> Iterator[Stage]:
        """The only stage."""
        settings = self.settings
        torch.manual_seed(settings.seed)
        self._model = self._cut(tokenizer).to(settings.device)
        yield Stage(
            "student", self._model, Whole(self._model), settings.steps, settings.batch, settings.answers, settings.rate,
            settings.rows_rate,
        )  # fmt: skip

    def student(self) -> Any:
        """The trained `Gemma3ForCausalLM`, its small matrices added up."""
        for module in list(self._model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, LowRank):
                    setattr(module, name, child.whole())
        return self._model

    def _cut(self, tokenizer: Tokenizer) -> Any:
        transformers_logging.disable_progress_bar()
        try:
            model = AutoModelForCausalLM.from_pretrained(
                self._folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise DistillError(
                f"the model in {self._folder} cannot be loaded ({error}).",
                way_out="Name another with --set model=FOLDER.",
            ) from error
        if model.config.model_type != "gemma3_text":
            raise DistillError(
                f"{self._folder} holds a {model.config.model_type!r}, and this size is made from a Gemma 3 of text.",
                way_out="Name gemma3-270m, or a folder of a Gemma 3.",
            )
        rows = rows_of(tokenizer, self._whole)
        every = model.get_input_embeddings().weight.detach()
        kept = torch.stack([every[ids].mean(dim=0) for ids in rows])
        model.resize_token_embeddings(len(rows), mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(kept)
        model.tie_weights()
        model.config.pad_token_id = piece(tokenizer, PAD)
        model.config.bos_token_id = None
        model.config.eos_token_id = piece(tokenizer, END)
        model.generation_config.update(
            bos_token_id=None, pad_token_id=piece(tokenizer, PAD), eos_token_id=piece(tokenizer, END)
        )
        model.config.max_position_embeddings = min(_CONTEXT, model.config.sliding_window or _CONTEXT)
        if self.settings.rank:
            for one in model.parameters():
                one.requires_grad_(requires_grad=False)
            model.get_input_embeddings().weight.requires_grad_(requires_grad=True)
            for layer in model.model.layers:
                for part in (layer.self_attn, layer.mlp):
                    for name, child in list(part.named_children()):
                        if isinstance(child, nn.Linear):
                            setattr(part, name, LowRank(child, self.settings.rank))
        return model
