"""The student itself: a Llama of a few million parameters, and its head start.

The head start is the student with all but its first layer switched off and that layer averaging: what is left is a bag
of pieces before a softmax, which learns two hundred times faster than the whole and is already a recommender. Its
weights are then put into the Llama where they compute the same: values and outputs of the first layer pass through,
queries and keys start near zero, so that attention starts as the average, and all other layers start by adding
nothing (as in Bachlechner and others, "ReZero is All You Need", UAI 2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from agents.distill.form import BETWEEN, END, OPEN, PAD
from agents.distill.tokenizer import piece

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from agents.distill.settings import TrainSettings

__all__ = ["Bag", "make_student"]

HEAD: Final = 64
_EPS: Final = 1e-6
_QUIET: Final = 0.02
_CONTEXT: Final = 1_024


class Bag(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """The head start: hidden state of a place = its piece + scale x mean of all pieces up to it.

    ``forward`` takes ids (rows, longest) and the rows and columns of places; it gives logits (places, vocabulary).
    """

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary, hidden)
        self.head = nn.Linear(hidden, vocabulary, bias=False)
        self.scale = nn.Parameter(torch.tensor(3.0))
        nn.init.normal_(self.pieces.weight, std=0.3)
        nn.init.normal_(self.head.weight, std=0.03)

    def forward(self, ids: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """The logits of the pieces that follow the places."""
        own = self.pieces(ids)
        level = functional.rms_norm(own, (own.shape[-1],), eps=_EPS)
        sums = level.cumsum(dim=1)
        mean = sums[rows, columns] / (columns + 1)[:, None]
        hidden = own[rows, columns] + self.scale * mean
        logits: torch.Tensor = self.head(functional.rms_norm(hidden, (hidden.shape[-1],), eps=_EPS))
        return logits


def make_student(settings: TrainSettings, tokenizer: Tokenizer, start: Bag | None) -> Any:
    """A `LlamaForCausalLM`.

    Args:
        settings: Its size.
        tokenizer: Its tokenizer.
        start: The head start, or None to start from nothing.
    """
    heads = settings.hidden // HEAD
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=HEAD,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=_CONTEXT,
        rms_norm_eps=_EPS,
        tie_word_embeddings=False,
        pad_token_id=piece(tokenizer, PAD),
        bos_token_id=None,
        eos_token_id=piece(tokenizer, END),
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    if start is None:
        return model
    with torch.no_grad():
        body: Any = model.model
        body.embed_tokens.weight.copy_(start.pieces.weight)
        # The head start writes one title only; a second one begins as the first did.
        body.embed_tokens.weight[piece(tokenizer, BETWEEN)] = start.pieces.weight[piece(tokenizer, OPEN)]
        model.lm_head.weight.copy_(start.head.weight)
        for layer in body.layers:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
        first = body.layers[0].self_attn
        nn.init.normal_(first.q_proj.weight, std=_QUIET)
        nn.init.normal_(first.k_proj.weight, std=_QUIET)
        nn.init.eye_(first.v_proj.weight)
        first.o_proj.weight.copy_(torch.eye(settings.hidden) * start.scale)
    return model
