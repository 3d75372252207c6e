"""The layers of a Gemma 3, computed as the compact student's are.

What differs: inputs are scaled, every norm multiplies by one more than its weights, queries and keys are norms of themselves, what a
layer adds is a norm of it, the heads share their keys and values, and positions turn in two ways, a quick one in the layers that
see a window only. Texts are no longer than the window, so those layers see all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from agents.errors import ModelError
from agents.runtime.student.layers import Layers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GemmaLayers"]

_SLIDING: Final = "sliding_attention"
_FULL: Final = "full_attention"


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: torch.Tensor
    query_norm: torch.Tensor
    key_norm: torch.Tensor
    out: torch.Tensor
    out_norm: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor
    down_norm: torch.Tensor


class GemmaLayers(Layers):
    """A Gemma 3 of text."""

    def _check(self, config: Mapping[str, Any]) -> None:
        kinds = {_SLIDING, _FULL}
        ropes = config.get("rope_parameters") or {}
        width = int(config.get("head_dim") or 0)
        if (
            config.get("model_type") != "gemma3_text"
            or config.get("attention_bias")
            or config.get("attn_logit_softcapping")
            or config.get("final_logit_softcapping")
            or config.get("query_pre_attn_scalar") != width
            or not set(config.get("layer_types") or [None]) <= kinds
            or not all((ropes.get(kind) or {}).get("rope_type") == "default" for kind in kinds)
        ):
            raise ModelError(
                "the student runtime computes Gemma 3 of text without soft caps, and this one is built otherwise.",
                way_out="Serve it with vLLM and set agents.runtime to server, or train a student.",
            )

    def _turnings(self, config: Mapping[str, Any], many: int) -> tuple[list[torch.Tensor], list[int]]:
        longest = int(config["max_position_embeddings"])
        if _SLIDING in config["layer_types"]:
            longest = min(longest, int(config["sliding_window"]))
        kinds = (_FULL, _SLIDING)
        turnings = [
            self._turning(float(config["rope_parameters"][kind]["rope_theta"]), longest) for kind in kinds
        ]
        return turnings, [kinds.index(kind) for kind in config["layer_types"][:many]]

    def _norm(self, plain: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
        return 1.0 + plain[f"{name}.weight"]

    def _enter(self, ids: torch.Tensor) -> torch.Tensor:
        return self._pieces[ids] * self._hidden**0.5

    def _layer(self, plain: Mapping[str, torch.Tensor], at: int) -> Any:
        name = f"model.layers.{at}."
        before = self._norm(plain, f"{name}input_layernorm")
        query, key, value = (plain[f"{name}self_attn.{one}_proj.weight"] * before for one in "qkv")
        inner = self._norm(plain, f"{name}pre_feedforward_layernorm")
        gate, up = (plain[f"{name}mlp.{one}_proj.weight"] * inner for one in ("gate", "up"))
        of_head = self._of_pairs(1)
        return _Layer(
            torch.cat(
                [query[self._of_pairs(self._heads)], key[self._of_pairs(self._shared)], value]
            ).contiguous(),
            self._norm(plain, f"{name}self_attn.q_norm")[of_head],
            self._norm(plain, f"{name}self_attn.k_norm")[of_head],
            plain[f"{name}self_attn.o_proj.weight"].contiguous(),
            self._norm(plain, f"{name}post_attention_layernorm"),
            torch.cat([gate, up]).contiguous(),
            plain[f"{name}mlp.down_proj.weight"].contiguous(),
            self._norm(plain, f"{name}post_feedforward_layernorm"),
        )

    def _qkv(self, layer: Any, x: torch.Tensor, turns: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heads, shared = self._heads, self._shared
        whole = functional.linear(self._level(x), layer.qkv).view(len(x), heads + 2 * shared, self._width)
        query = self._level(whole[:, :heads]) * layer.query_norm
        key = self._level(whole[:, heads : heads + shared]) * layer.key_norm
        both = torch.cat([query, key], dim=1).view(len(x), heads + shared, self._width // 2, 2)
        turned = torch.view_as_real(torch.view_as_complex(both) * turns).view(
            len(x), heads + shared, self._width
        )
        return turned[:, :heads], turned[:, heads:], whole[:, heads + shared :]

    def _onward(self, layer: Any, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        added = functional.linear(mixed.reshape(len(x), -1), layer.out)
        x = x + self._level(added) * layer.out_norm
        gate, up = functional.linear(self._level(x), layer.gate_up).chunk(2, dim=-1)
        added = functional.linear(functional.gelu(gate, approximate="tanh").mul_(up), layer.down)
        return x + self._level(added) * layer.down_norm
