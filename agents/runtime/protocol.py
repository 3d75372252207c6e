"""What a runtime is: something that answers a batch of generation requests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.errors import GenerationError
    from agents.prompts import Prompt
    from agents.structured import Structure

__all__ = ["Generation", "Request", "Runtime", "WritesTitles", "seed_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: the prompt that never changes, the shopper's own part, and the bounds.

    ``banned`` are normalised phrases (``agents.words.normal``) that make no useful demand, such as
    the input's own titles; a runtime with a hand in decoding avoids them, others may ignore them.
    ``deadline`` is a ``time.monotonic`` moment in seconds.
    """

    prompt: Prompt
    text: str
    structure: Structure
    max_tokens: int
    temperature: float
    seed: int
    banned: frozenset[str] = frozenset()
    deadline: float | None = None


def seed_of(token: str) -> int:
    """A seed of 31 bits: the same token gives the same one, whichever worker and whenever."""
    return int.from_bytes(hashlib.sha256(token.encode()).digest()[:4], "big") >> 1


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer. ``confidences`` has a mean token probability for each query, where the runtime knows it."""

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    confidences: tuple[float, ...] | None = None


class Runtime(Protocol):
    """A place where the model runs."""

    @property
    def name(self) -> str:
        """``local`` or ``server``."""
        ...

    @property
    def model(self) -> str:
        """The model's name, as recorded with every result."""
        ...

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Compute beforehand what requests with this prompt and structure will share."""
        ...

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        """Answer all requests, in order; what failed comes back as an error in its place.

        ``deadline`` (``time.monotonic`` seconds) bounds the whole batch beside each request's own.
        """
        ...

    async def ready(self) -> bool:
        """Whether a request now would be answered by the model."""
        ...

    async def close(self) -> None:
        """Free the model or the connections; requests in flight finish first."""
        ...


@runtime_checkable
class WritesTitles(Protocol):
    """A runtime that writes titles of the catalogue and no others."""

    def offer(self, titles: Iterable[str]) -> None:
        """Let these short titles be written from the next batch on, and no others; may be called from any thread."""
        ...

    def usual(self, most: int) -> list[str]:
        """What is written most often, the commonest first: at most so many of the titles that may be written."""
        ...
