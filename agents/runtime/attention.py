"""Attention over a prompt that all shoppers share and the part each has of its own.

Transformers' caches would hold the prompt's keys and values once per shopper and copy them at every
step. Here they are held once: a batch's queries meet them in one matrix product, and each shopper's
own keys and values lie in room allocated beforehand. Registered as an attention implementation of
transformers (``AttentionInterface``), so the models themselves are those of transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

__all__ = ["IMPLEMENTATION", "Prefix", "Room"]

IMPLEMENTATION = "nearline_shared_prefix"


@dataclass(frozen=True)
class Prefix:
    """A computed prompt: by layer, keys and values of shape (kv heads, tokens, head size)."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    tokens: int


class Room:
    """Keys and values of a batch beyond the prompt, with the masks of the pass under way.

    Passed to the model both as its cache and, for the attention below, as ``room``. Rows may be of
    different lengths: ``valid`` says which columns are real, ``positions`` where in the row's text
    they stand. Both have the shape (rows, columns).
    """

    def __init__(self, config: Any, prefix: Prefix, rows: int, columns: int, dtype: torch.dtype) -> None:
        """Allocate room for ``columns`` tokens of each of ``rows`` answers."""
        heads = config.num_key_value_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        layers = config.num_hidden_layers
        self.prefix = prefix
        self.used = 0
        self.window: int = getattr(config, "sliding_window", None) or 0
        self._keys = torch.zeros(layers, rows, heads, columns, size, dtype=dtype)
        self._values = torch.zeros(layers, rows, heads, columns, size, dtype=dtype)
        self._valid = torch.zeros(rows, columns, dtype=torch.bool)
        self._positions = torch.zeros(rows, columns, dtype=torch.long)
        self._masks: dict[bool, torch.Tensor | None] = {}

    def begin(self, positions: torch.Tensor, valid: torch.Tensor) -> None:
        """Announce the next pass: where its tokens stand and which of them are real, each (rows, new)."""
        end = self.used + positions.shape[1]
        self._positions[:, self.used : end] = positions
        self._valid[:, self.used : end] = valid
        rows = positions.shape[0]
        before = torch.arange(self.prefix.tokens).expand(rows, -1)
        at = torch.cat((before, self._positions[:, :end]), dim=1)
        real = torch.cat((torch.ones_like(before, dtype=torch.bool), self._valid[:, :end]), dim=1)
        distance = positions[:, :, None] - at[:, None, :]
        # A padded column attends to itself, or its softmax would be over nothing.
        columns = torch.arange(at.shape[1]) - self.prefix.tokens
        own = (torch.arange(self.used, end)[:, None] == columns[None, :])[None]
        seen = (real[:, None, :] & (distance >= 0)) | own
        self._masks = {False: _additive(seen, self._keys.dtype)}
        if self.window:
            self._masks[True] = _additive(seen & (distance < self.window), self._keys.dtype)

    def end(self) -> None:
        """Close the pass: its columns are now part of every row's past."""
        self.used += self._width

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's new keys and values (rows, kv heads, new, size); all of the room's so far come back."""
        self._width = keys.shape[2]
        end = self.used + self._width
        self._keys[layer][:, :, self.used : end] = keys
        self._values[layer][:, :, self.used : end] = values
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def get_seq_length(self, _layer: int = 0) -> int:
        """Tokens before the pass, as transformers asks of a cache."""
        return self.prefix.tokens + self.used

    def mask(self, *, sliding: bool) -> torch.Tensor:
        """The additive mask of the pass: (rows, new, prompt tokens + columns)."""
        mask = self._masks[sliding]
        assert mask is not None, "begin() comes before the pass"  # noqa: S101  # a slip in this package only
        return mask

    def forget(self, row: int, columns: int) -> None:
        """Hide the last columns of one row, as if they had never been written."""
        self._valid[row, self.used - columns : self.used] = False

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the rows only."""
        self._keys, self._values = self._keys[:, rows], self._values[:, rows]
        self._valid, self._positions = self._valid[rows], self._positions[rows]

    def as_prefix(self) -> Prefix:
        """The room's first row as a prompt for others."""
        keys, values = self._keys[:, 0, :, : self.used], self._values[:, 0, :, : self.used]
        return Prefix([k.contiguous() for k in keys], [v.contiguous() for v in values], self.used)


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    scaling: float,
    room: Room,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    rows, heads, new, size = query.shape
    shared = key.shape[1]
    group = heads // shared
    asked = (query * scaling).reshape(rows, shared, group * new, size)
    own = asked @ key.transpose(2, 3)
    before = room.prefix.tokens
    if before:
        layer = module.layer_idx
        flat = asked.transpose(0, 1).reshape(shared, rows * group * new, size)
        met = flat @ room.prefix.keys[layer].transpose(1, 2)
        scores = torch.cat((met.view(shared, rows, group * new, before).transpose(0, 1), own), dim=-1)
    else:
        scores = own
    mask = room.mask(sliding=bool(room.window and getattr(module, "sliding_window", None)))
    scores = scores.view(rows, shared, group, new, -1) + mask[:, None, None]
    weights = torch.softmax(scores, dim=-1).view(rows, shared, group * new, -1)
    out = weights[..., before:] @ value
    if before:
        flat = weights[..., :before].transpose(0, 1).reshape(shared, rows * group * new, before)
        met = flat @ room.prefix.values[layer]
        out = out + met.view(shared, rows, group * new, size).transpose(0, 1)
    return out.reshape(rows, heads, new, size).transpose(1, 2), None


AttentionInterface.register(IMPLEMENTATION, _attend)
