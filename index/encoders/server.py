"""An embedding model behind an OpenAI-compatible server (``POST /v1/embeddings``), such as vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from index.encoders.encoder import Vectors, unit_rows
from index.encoders.fingerprint import PROBE, server_fingerprint
from index.errors import EncoderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ServerEncoder"]

_BATCH: Final = 256


class ServerEncoder:
    """Encodes on a server; an `index.encoders.encoder.Encoder`. It is asked for one probe when it is made."""

    def __init__(self, url: str, model: str, *, api_key: str = "", timeout_s: float = 10.0) -> None:
        """Connect.

        Args:
            url: The server's base address, such as ``http://host:8000/v1``.
            model: The model's name on the server.
            api_key: Sent as the bearer token, if the server wants one.
            timeout_s: Seconds one request may take; it is tried again twice, with backoff.

        Raises:
            EncoderUnavailableError: If the server does not answer or does not know the model.
        """
        from openai import OpenAI  # noqa: PLC0415 - a second to import, needed by servers' users only

        self._url = url
        self._client = OpenAI(base_url=url, api_key=api_key or "none", timeout=timeout_s, max_retries=2)
        self.name = model
        probe = self._ask([PROBE])
        self.dimensions = probe.shape[1]
        self.fingerprint = server_fingerprint(model, probe[0])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As `index.encoders.encoder.Encoder.encode`, in requests of 256 texts."""
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        vectors = np.concatenate(
            [self._ask(list(texts[at : at + _BATCH])) for at in range(0, len(texts), _BATCH)]
        )
        if vectors.shape[1] != self.dimensions:
            raise EncoderUnavailableError(
                f"{self._url} now answers with {vectors.shape[1]} dimensions for {self.name}; it was {self.dimensions}.",
                way_out="The server's model was changed: restart with a catalogue built by it.",
            )
        return vectors

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, texts: list[str]) -> Vectors:
        from openai import OpenAIError  # noqa: PLC0415 - as above

        try:
            answer = self._client.embeddings.create(model=self.name, input=texts, encoding_format="float")
            rows = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
            vectors = np.array(rows, dtype=np.float32)
        except (OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise EncoderUnavailableError(
                f"The embedding server {self._url} gave no vectors for {self.name}: {error}.",
                way_out="Check that it runs, its address and the model's name.",
            ) from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise EncoderUnavailableError(
                f"The embedding server {self._url} answered {len(texts)} texts with an array of shape {vectors.shape}.",
                way_out="Check that the address is an embeddings endpoint.",
            )
        return unit_rows(vectors)
