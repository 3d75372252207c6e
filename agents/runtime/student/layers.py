"""The student's layers, computed for several shoppers at once, each with a text of its own length.

What is as long as the tokens (products with the weights, norms) is computed over the tokens of all rows in one piece, without
padding; only attention is padded. Norms' weights are folded into the products that follow them, queries, keys and values are one
product, and positions are one complex factor. Of the last layer only what the next token needs is computed.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from agents.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

__all__ = ["Layers", "Read"]

# Columns that are kept free for what is read beyond the texts.
_ROOM: Final = 64

_AGAIN: Final = "Train the student again with `nearline distill train`."


@dataclass(slots=True)
class Read:
    """What has been read of b texts; good until the thread that read them reads the next.

    Attributes:
        lengths: (b,) tokens of each text; later columns belong to what was read beyond it, by mask.
        columns: Columns so far, padding included.
        kept: Of each layer keys and values, (2, b, room, heads, width of a head).
    """

    lengths: Ints
    columns: int
    kept: list[torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: torch.Tensor
    out: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class Layers:
    """A Llama whose heads all have keys of their own. Several threads may compute at once, each with a `Read` of its own.

    Attributes:
        head: (vocabulary, hidden): a hidden state's product with it are the logits.
    """

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
        """Take a model's configuration and weights, as transformers names them.

        Raises:
            ModelError: it is no such model.
        """
        self._check(config)
        self._heads = int(config["num_attention_heads"])
        self._shared = int(config.get("num_key_value_heads") or self._heads)
        self._hidden = int(config["hidden_size"])
        self._width = int(config.get("head_dim") or self._hidden // self._heads)
        self._eps = float(config["rms_norm_eps"])
        many = int(config["num_hidden_layers"])
        try:
            plain = {name: weight.detach().float() for name, weight in weights.items()}
            self._pieces = plain["model.embed_tokens.weight"].contiguous()
            top = plain.get("lm_head.weight", self._pieces)
            self.head = (top * self._norm(plain, "model.norm")).contiguous()
            self._layers = [self._layer(plain, at) for at in range(many)]
        except KeyError as error:
            raise ModelError(f"the student's weights lack {error}.", way_out=_AGAIN) from error
        self._turns, self._turns_of = self._turnings(config, many)
        # Room to compute in, of each thread its own.
        self._desk = threading.local()

    def _check(self, config: Mapping[str, Any]) -> None:
        """Refuse what these layers do not compute."""
        heads = config.get("num_attention_heads", 0)
        rope = _rope(config)
        if (
            config.get("model_type") != "llama"
            or config.get("num_key_value_heads", heads) != heads
            or config.get("attention_bias")
            or config.get("mlp_bias")
            or rope.get("rope_type", "default") != "default"
        ):
            raise ModelError(
                f"the student runtime computes plain Llama models, and this is a {config.get('model_type')!r}.",
                way_out="Serve it with vLLM and set agents.runtime to server, or train a student.",
            )

    def _turnings(self, config: Mapping[str, Any], many: int) -> tuple[list[torch.Tensor], list[int]]:
        """How positions turn queries and keys, in one way or several, and which is each layer's."""
        longest = int(config.get("max_position_embeddings", 1_024))
        return [self._turning(float(_rope(config)["rope_theta"]), longest)], [0] * many

    def _turning(self, theta: float, longest: int) -> torch.Tensor:
        """(longest, width / 2) complex."""
        steps = theta ** (-torch.arange(0, self._width, 2).double() / self._width)
        angles = torch.arange(longest).double()[:, None] * steps
        return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)

    def _norm(self, plain: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
        """What a norm multiplies by."""
        return plain[f"{name}.weight"]

    def _of_pairs(self, heads: int) -> torch.Tensor:
        """The order that puts the two halves of a head that turn together side by side: then they are one complex number."""
        return torch.arange(heads * self._width).view(heads, 2, -1).transpose(1, 2).reshape(-1)

    @classmethod
    def load(cls, folder: Path) -> Layers:
        """The model in a folder with ``config.json`` and ``model.safetensors``."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") == "gemma3_text" and cls is Layers:
            from agents.runtime.student.gemma_layers import GemmaLayers  # noqa: PLC0415  # which are these, changed

            return GemmaLayers.load(folder)
        return cls(config, load_file(folder / "model.safetensors"))

    @property
    def longest(self) -> int:
        """Tokens that a text may have."""
        return len(self._turns[0])

    def _layer(self, plain: Mapping[str, torch.Tensor], at: int) -> _Layer:
        name = f"model.layers.{at}."
        before = self._norm(plain, f"{name}input_layernorm")
        after = self._norm(plain, f"{name}post_attention_layernorm")
        pairs = self._of_pairs(self._heads)
        query, key, value = (plain[f"{name}self_attn.{one}_proj.weight"] * before for one in "qkv")
        gate, up = (plain[f"{name}mlp.{one}_proj.weight"] * after for one in ("gate", "up"))
        return _Layer(
            torch.cat([query[pairs], key[pairs], value]).contiguous(),
            plain[f"{name}self_attn.o_proj.weight"].contiguous(),
            torch.cat([gate, up]).contiguous(),
            plain[f"{name}mlp.down_proj.weight"].contiguous(),
        )

    def read(self, texts: Sequence[Sequence[int]]) -> tuple[Read, torch.Tensor]:
        """Read texts; returns what was read, and (texts, hidden) from which the next token follows."""
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        longest, many = int(lengths.max()), len(texts)
        starts = np.cumsum(lengths) - lengths
        column = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        rows = torch.from_numpy(np.repeat(np.arange(many), lengths))
        columns = torch.from_numpy(column)
        last = torch.from_numpy(starts + lengths - 1)
        turns = [one[columns][:, None] for one in self._turns]
        ids = np.concatenate([np.asarray(text, dtype=np.int64) for text in texts])
        x = self._enter(torch.from_numpy(ids))
        kept = []
        for at, layer in enumerate(self._layers):
            memory = self._room(f"kept {at}", self._shared, 2, many, longest + _ROOM)
            kept.append(memory)
            query, key, value = self._qkv(layer, x, turns[self._turns_of[at]])
            memory[0, rows, columns], memory[1, rows, columns] = key, value
            keys, values = map(self._shown, memory[:, :, :longest])
            if at < len(self._layers) - 1:
                asked = self._room("asked", self._heads, 1, many, longest)
                asked[0, rows, columns] = query
                mixed = functional.scaled_dot_product_attention(
                    asked[0].transpose(1, 2), keys, values, is_causal=True
                )
                x = self._onward(layer, x, mixed.transpose(1, 2)[rows, columns])
            else:
                sees = torch.from_numpy(np.arange(longest) < lengths[:, None])[:, None, None]
                mixed = functional.scaled_dot_product_attention(
                    query[last][:, :, None], keys, values, attn_mask=sees
                )
                x = self._onward(layer, x[last], mixed)
        return Read(lengths, longest, kept), self._level(x)

    def go_on(
        self, read: Read, tokens: Ints, rows: Ints, slots: Ints, positions: Ints, sees: npt.NDArray[np.bool_]
    ) -> torch.Tensor:
        """Read n tokens more; returns (n, hidden).

        Args:
            read: What has been read; the tokens are added to it.
            tokens: (n,) ids.
            rows: (n,) the text that each goes on from.
            slots: (n,) its new column of that text, from 0.
            positions: (n,) its place in its own text.
            sees: (b, most slots, columns after) which columns each new one sees.
        """
        many, longest, after = sees.shape
        place, slot = torch.from_numpy(rows), torch.from_numpy(slots)
        turns = [one[torch.from_numpy(positions)][:, None] for one in self._turns]
        mask = torch.from_numpy(sees)[:, None]
        x = self._enter(torch.from_numpy(tokens))
        for at, layer in enumerate(self._layers):
            memory = read.kept[at]
            if memory.shape[2] < after:
                memory = functional.pad(memory, (0, 0, 0, 0, 0, after - memory.shape[2] + _ROOM))
                read.kept[at] = memory
            query, key, value = self._qkv(layer, x, turns[self._turns_of[at]])
            memory[0, place, read.columns + slot], memory[1, place, read.columns + slot] = key, value
            asked = self._room("asked", self._heads, 1, many, longest)
            asked[0, place, slot] = query
            keys, values = map(self._shown, memory[:, :, :after])
            mixed = functional.scaled_dot_product_attention(
                asked[0].transpose(1, 2), keys, values, attn_mask=mask
            )
            x = self._onward(layer, x, mixed.transpose(1, 2)[place, slot])
        read.columns = after
        return self._level(x)

    def _enter(self, ids: torch.Tensor) -> torch.Tensor:
        """(n, hidden) of n tokens."""
        return self._pieces[ids]

    def _shown(self, part: torch.Tensor) -> torch.Tensor:
        """Keys or values (rows, columns, heads that have them, width) as every head sees them: (rows, heads, columns, width)."""
        each = part.transpose(1, 2)
        return each if self._shared == self._heads else each.repeat_interleave(self._heads // self._shared, 1)

    def _room(self, name: str, heads: int, parts: int, many: int, columns: int) -> torch.Tensor:
        """(parts, many, columns, heads, width) with what was there before: always numbers, and never seen through a mask."""
        size = parts * many * columns * heads * self._width
        spaces = self._desk.__dict__
        space = spaces.get(name)
        if space is None or len(space) < size:
            space = spaces[name] = torch.zeros(size)
        return space[:size].view(parts, many, columns, heads, self._width)

    def _level(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self._eps)

    def _qkv(self, layer: _Layer, x: torch.Tensor, turns: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries, keys and values: (n, heads, width) each."""
        whole = functional.linear(self._level(x), layer.qkv).view(len(x), 3, self._heads, self._width)
        turned = torch.view_as_complex(whole[:, :2].reshape(len(x), 2 * self._heads, self._width // 2, 2))
        both = torch.view_as_real(turned * turns).view(len(x), 2, self._heads, self._width)
        return both[:, 0], both[:, 1], whole[:, 2]

    def _onward(self, layer: _Layer, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        x = x + functional.linear(mixed.reshape(len(x), -1), layer.out)
        gate, up = functional.linear(self._level(x), layer.gate_up).chunk(2, dim=-1)
        return x + functional.linear(functional.silu(gate).mul_(up), layer.down)


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
