"""The loaded model: prompts kept computed, decoding in batches.

``generate()`` of transformers cannot share one computed prompt between the rows of a batch, compute
an output layer over some of the vocabulary, or end each row by its own clock, so the loop is here;
the models' layers are those of transformers.

A batch goes: every shopper's own part is read in one pass over the shared prompt; then one pass a
piece, until every answer is complete. Answers that are complete leave the batch.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from agents.errors import BadAnswer, GenerationError, ModelError, TooLate
from agents.runtime.attention import IMPLEMENTATION, Prefix, Room
from agents.runtime.constraint import Grammar, Writing
from agents.runtime.linear import FewRows, suit_few_rows
from agents.runtime.protocol import Generation
from agents.runtime.vocabulary import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agents.prompts import Prompt
    from agents.runtime.protocol import Request
    from agents.structured import Structure

__all__ = ["Engine"]

_log = logging.getLogger(__name__)

# Answers have at least this many queries unless tokens, time or the schema end them before.
_WANTED = 3

# Profiles that say nothing, to learn what the model says to everybody.
_NOBODY = ("viewed: item", "viewed: product; thing; article", "usual: goods\nviewed: products; items")


class Engine:
    """A causal language model on the CPU. Not safe for several threads at once."""

    def __init__(
        self, folder: Path, *, dtype: torch.dtype, vocabulary: int, words: Iterable[str] = ()
    ) -> None:
        """Load the model (5 s).

        Raises:
            ModelError: the folder holds no model that transformers can load for this.
        """
        # A worker's log is no place for progress bars.
        transformers_logging.disable_progress_bar()
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.bfloat16, attn_implementation=IMPLEMENTATION, local_files_only=True
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"the model in {folder} cannot be loaded: {error}.",
                way_out="Delete the folder if it is the cache's (it is made again), or name another model.",
            ) from error
        self._vocabulary = choose(self._tokenizer, vocabulary, words)
        self._config = model.config
        self._body: Any = model.get_decoder()
        # The input embeddings stay bfloat16: they are only looked up, and are most of the model's bytes.
        self._embed = self._body.get_input_embeddings()
        for child in self._body.children():
            if child is not self._embed:
                child.to(dtype)
        suit_few_rows(self._body)
        self._dtype = dtype
        self._ids = torch.tensor(self._vocabulary.ids)
        rows = model.get_output_embeddings().weight.detach()[self._ids].to(dtype)
        self._head = FewRows(rows.shape[1], rows.shape[0], bias=False, device="meta")
        self._head.weight = nn.Parameter(rows, requires_grad=False)
        self._prefixes: dict[str, Prefix] = {}
        self._usuals: dict[str, torch.Tensor] = {}
        self._grammars: dict[tuple[str, int, int], Grammar] = {}

    def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Compute a prompt's keys and values, and compile the grammar of a structure."""
        grammar = self._grammar(structure)
        with torch.inference_mode():
            self._usual(prompt, self._prefix(prompt.static(structure)), grammar)

    def generate(self, requests: Sequence[Request]) -> list[Generation | GenerationError]:
        """Answer one batch of requests that share a prompt and a structure."""
        first = requests[0]
        with torch.inference_mode():
            prefix = self._prefix(first.prompt.static(first.structure))
            grammar = self._grammar(first.structure)
            return self._decode(requests, prefix, grammar, self._usual(first.prompt, prefix, grammar))

    def _decode(
        self, requests: Sequence[Request], prefix: Prefix, grammar: Grammar, usual: torch.Tensor
    ) -> list[Generation | GenerationError]:
        writings = [
            Writing(grammar, request, min(_WANTED, request.structure.at_most), usual) for request in requests
        ]
        prompt, texts = requests[0].prompt, [request.text for request in requests]
        room, last, lengths = self._read(
            prompt, texts, prefix, grammar, max(request.max_tokens for request in requests)
        )
        live = list(range(len(requests)))
        positions = prefix.tokens + lengths
        while True:
            logits = self._head(last)
            pieces = []
            for row, index in enumerate(live):
                writing, request = writings[index], requests[index]
                late = request.deadline is not None and time.monotonic() > request.deadline
                if late:
                    if not writing.close("deadline"):
                        writing.finish = "late"
                    pieces.append(0)
                    continue
                piece, back = writing.advance(logits[row])
                pieces.append(piece)
                if back:
                    room.forget(row, back)
                    positions[row] -= back
                if not writing.finish and writing.steps >= request.max_tokens and not writing.close("length"):
                    writing.finish = "cut"
            going = [row for row, index in enumerate(live) if not writings[index].finish]
            if not going:
                break
            if len(going) < len(live):
                kept = torch.tensor(going)
                room.keep(kept)
                positions = positions[kept]
                pieces = [pieces[row] for row in going]
                live = [live[row] for row in going]
            fed = self._ids[torch.tensor(pieces)][:, None]
            hidden = self._pass(room, fed, positions[:, None], torch.ones_like(fed, dtype=torch.bool))
            last = hidden[:, -1]
            positions = positions + 1
        return [
            _outcome(writing, request, prefix.tokens + length)
            for writing, request, length in zip(writings, requests, lengths.tolist(), strict=True)
        ]

    def _read(
        self, prompt: Prompt, texts: Sequence[str], prefix: Prefix, grammar: Grammar, more: int
    ) -> tuple[Room, torch.Tensor, torch.Tensor]:
        """Read shoppers' parts in one pass.

        Returns the room (with ``more`` columns to spare), each row's last hidden state, (rows, hidden
        size), and each row's length in tokens.
        """
        turns = [
            encoding.ids
            for encoding in self._tokenizer.encode_batch(
                [prompt.turn(text) + grammar.opening for text in texts], add_special_tokens=False
            )
        ]
        longest = max(len(turn) for turn in turns)
        room = Room(self._config, prefix, len(turns), longest + more, self._dtype)
        # Padded on the right: the columns between a short turn and its answer are masked.
        ids = torch.tensor([turn + [0] * (longest - len(turn)) for turn in turns])
        lengths = torch.tensor([len(turn) for turn in turns])
        columns = torch.arange(longest).expand(len(turns), -1)
        hidden = self._pass(room, ids, prefix.tokens + columns, columns < lengths[:, None])
        return room, hidden[torch.arange(len(turns)), lengths - 1], lengths

    def _pass(
        self, room: Room, ids: torch.Tensor, positions: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """One pass of the model's layers over (rows, new) token ids: (rows, new, hidden size)."""
        room.begin(positions, valid)
        out = self._body(
            inputs_embeds=self._embed(ids).to(self._dtype),
            position_ids=positions,
            past_key_values=room,
            use_cache=True,
            room=room,
        )
        room.end()
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    def _prefix(self, static: str) -> Prefix:
        if static not in self._prefixes:
            encoded = self._tokenizer.encode(static).ids
            room = Room(self._config, Prefix([], [], 0), 1, len(encoded), self._dtype)
            positions = torch.arange(len(encoded))[None]
            self._pass(room, torch.tensor([encoded]), positions, torch.ones_like(positions, dtype=torch.bool))
            self._prefixes[static] = room.as_prefix()
        return self._prefixes[static]

    def _usual(self, prompt: Prompt, prefix: Prefix, grammar: Grammar) -> torch.Tensor:
        """Log probabilities of each piece to begin a query for nobody in particular: (kept pieces,)."""
        if prompt.sha256 not in self._usuals:
            _, last, _ = self._read(prompt, _NOBODY, prefix, grammar, 0)
            self._usuals[prompt.sha256] = torch.softmax(self._head(last).float(), dim=-1).mean(dim=0).log()
        return self._usuals[prompt.sha256]

    def _grammar(self, structure: Structure) -> Grammar:
        key = (structure.name, structure.at_most, structure.longest)
        if key not in self._grammars:
            self._grammars[key] = Grammar(self._vocabulary, structure)
        return self._grammars[key]


def _outcome(writing: Writing, request: Request, prompt_tokens: int) -> Generation | GenerationError:
    if writing.finish == "late":
        return TooLate(
            f"the deadline passed after {writing.steps} pieces, before a first query was complete.",
            way_out="Raise agents.deadline, lower agents.max_tokens, or add workers.",
        )
    if writing.finish == "cut":
        return BadAnswer(
            f"{request.max_tokens} tokens were used up before a first query was complete.",
            way_out="Raise agents.max_tokens.",
        )
    try:
        # The grammar promises it; this is the promise kept.
        request.structure.parse(writing.text)
    except GenerationError as error:
        return error
    return Generation(writing.text, prompt_tokens, writing.steps, writing.finish, writing.confidences())
