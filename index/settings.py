"""Settings of the index room."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from index.encoders.encoder import CachedEncoder, Encoder
from index.encoders.fingerprint import model_fingerprint
from index.errors import EncoderUnavailableError
from index.recall import Recall, RecallSettings

__all__ = [
    "EncoderSettings",
    "IndexSettings",
    "RecallSettings",
    "encoder_fingerprint",
    "open_encoder",
    "open_recall",
]


class EncoderSettings(BaseModel):
    """Which embedding model turns text into vectors."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["local", "server"] = Field(
        default="local",
        description="`local` runs a sentence-transformers model in the worker; `server` asks an OpenAI-compatible server.",
    )
    path: Path | None = Field(
        default=None, description="Folder of the local model; unset means the packaged MiniLM-L6-v2."
    )
    device: str = Field(
        default="cpu", description="Torch device of the local model, such as `cpu` or `cuda`."
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=256,
        description="CPU threads of the local model. One is fastest for short queries on a busy machine.",
    )
    url: str = Field(default="", description="Base address of the server, such as `http://host:8000/v1`.")
    model: str = Field(default="", description="Name of the model on the server.")
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Bearer token for the server, if it wants one."
    )
    timeout_s: float = Field(default=10.0, gt=0, description="Seconds one request to the server may take.")
    cache: int = Field(
        default=20_000,
        ge=0,
        description="Query vectors to remember, about 1.6 kB each at 384 dimensions; 0 for none.",
    )


class IndexSettings(BaseModel):
    """Catalogue, encoder and recall."""

    model_config = ConfigDict(extra="forbid")

    catalog: Path = Field(default=Path(".nearline/catalog"), description="Folder of the built catalogue.")
    versions_kept: int = Field(
        default=5,
        ge=1,
        description="Published versions of the catalogue to keep, the one in force among them.",
    )
    encoder: EncoderSettings = Field(default_factory=EncoderSettings, description="The embedding model.")
    ranking: Path | None = Field(
        default=None,
        description="Folder that `nearline rank train` wrote: what goes together, and the live ranker if one was trained. Read when a worker starts and whenever a version of the catalogue is published; unset, slates are made without.",
    )
    recall: RecallSettings = Field(default_factory=RecallSettings, description="Candidates for a slate.")


def open_encoder(settings: EncoderSettings) -> CachedEncoder:
    """The encoder that the settings name, behind its cache.

    Raises:
        EncoderUnavailableError: If it cannot be loaded or reached, or the settings name no server.
    """
    if settings.kind == "local":
        from index.encoders.local import SentenceTransformerEncoder  # noqa: PLC0415 - only where it is wanted

        local = SentenceTransformerEncoder(settings.path, device=settings.device, threads=settings.threads)
        return CachedEncoder(local, settings.cache)
    if not settings.url or not settings.model:
        raise EncoderUnavailableError(
            "The encoder is set to a server, without its address and model.",
            way_out="Set the encoder's url and model.",
        )
    from index.encoders.server import ServerEncoder  # noqa: PLC0415 - only where it is wanted

    key = settings.api_key.get_secret_value()
    return CachedEncoder(
        ServerEncoder(settings.url, settings.model, api_key=key, timeout_s=settings.timeout_s), settings.cache
    )


def encoder_fingerprint(settings: EncoderSettings) -> str:
    """The fingerprint of the encoder that the settings name; a local model is not loaded for it.

    Raises:
        EncoderUnavailableError: If there is no such model, or the server does not answer.
    """
    if settings.kind == "local":
        from index.encoders.local import packaged_model  # noqa: PLC0415 - as above

        return model_fingerprint((settings.path or packaged_model()).resolve())
    return open_encoder(settings).fingerprint


def open_recall(settings: IndexSettings, encoder: Encoder | None = None, *, verify: bool = False) -> Recall:
    """Catalogue, index, encoder and channels as the settings say.

    Raises:
        CatalogError: As `Recall.open` and `open_encoder` do.
    """
    return Recall.open(
        settings.catalog,
        encoder or open_encoder(settings.encoder),
        settings=settings.recall,
        ranking=settings.ranking,
        verify=verify,
    )
