"""A call of a model, and its address: the SHA-256 of all that decides its answer.

That is runtime, model and its hash, prompt version, parameters and input.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

__all__ = ["Call", "Mode", "Model"]

_SHOWN = 400


class Mode(StrEnum):
    """What a cassette is used for."""

    OFF = "off"
    """Not at all: every call goes to the model."""
    RECORD = "record"
    """Every call goes to the model, and its answer into the cassette."""
    REPLAY = "replay"
    """Answers come from the cassette; what it lacks is asked of the model, stored, and marked."""
    STRICT = "strict"
    """Answers come from the cassette alone; what it lacks is an error."""


class Model(NamedTuple):
    """Whose calls they are. ``kind`` is ``llm`` or ``embedding``; ``hash`` tells apart models of one name."""

    kind: str
    runtime: str
    model: str
    hash: str


class Call(NamedTuple):
    """One call, with all that decides its answer. ``prompt`` is the version with its hash; embeddings have none."""

    model: Model
    prompt: str
    parameters: dict[str, Any]
    input: str

    @property
    def key(self) -> bytes:
        """The call's address: 32 bytes."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).digest()

    def shown(self) -> str:
        """The call in words, cut to a few hundred characters."""
        kind, runtime, model, digest = self.model
        asked = f"{self.prompt}: " if self.prompt else ""
        text = self.input if len(self.input) <= _SHOWN else f"{self.input[:_SHOWN]}…"
        return f"{kind} call of {runtime} {model} ({digest[:19]}), {asked}{text!r}, address {self.key.hex()[:16]}"
