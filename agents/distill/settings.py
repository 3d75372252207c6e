"""What training a student can be told."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["GemmaSettings", "Lessons", "Size", "TrainSettings"]


class Size(StrEnum):
    """Which kind of student is trained."""

    COMPACT = "compact"
    """A Llama of a few million parameters, from nothing."""
    GEMMA = "gemma"
    """Gemma 3 270M with its vocabulary cut to the shop's, from what it knows."""


class Lessons(BaseModel):
    """How a student of any size learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    history: int = Field(default=32, ge=1, le=200, description="Newest titles of a shopper that are read.")
    answers: int = Field(default=4, ge=1, le=40, description="Titles of one written answer.")
    steps: int = Field(default=550, ge=1, description="Steps of the whole student.")
    batch: int = Field(default=64, ge=1, description="Pairs in a step.")
    rate: float = Field(default=1.5e-3, gt=0, description="Highest learning rate of these steps.")
    apart: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Share of titles that are shown by words, as unknown ones will be.",
    )
    dropped: float = Field(
        default=0.1, ge=0, lt=1, description="Share of a history's titles that are left out."
    )
    usual: int = Field(
        default=400, ge=1, description="Shoppers over whom is measured what it writes for everybody."
    )
    seed: int = Field(default=0, ge=0, description="Of everything that is drawn.")
    threads: int = Field(default=2, ge=1, description="CPU threads.")
    device: str = Field(default="cpu", description="cpu or cuda.")
    checkpoint_s: float = Field(default=60.0, gt=0, description="Seconds between checkpoints.")


class TrainSettings(Lessons):
    """The compact student: its size, and how long and how it learns."""

    vocabulary: int = Field(default=6_000, ge=600, description="Most pieces of the tokenizer.")
    words: int = Field(default=3_000, ge=400, description="Of them, most pieces of words.")
    hidden: int = Field(default=192, ge=64, multiple_of=64, description="Width of the layers; heads have 64.")
    layers: int = Field(default=2, ge=1, le=24, description="Layers.")
    feed_forward: int = Field(default=512, ge=64, description="Width inside a layer.")
    warm_steps: int = Field(
        default=600, ge=0, description="Steps with one averaging layer only, before the others."
    )
    warm_batch: int = Field(default=256, ge=1, description="Pairs in such a step.")
    warm_rate: float = Field(default=8e-3, gt=0, description="Highest learning rate of the warm steps.")


class GemmaSettings(Lessons):
    """The pruned Gemma: what is kept of it, and how long and how it learns."""

    history: int = Field(default=16, ge=1, le=60, description="Newest titles of a shopper that are read.")
    steps: int = Field(default=300, ge=1, description="Steps.")
    batch: int = Field(default=12, ge=1, description="Pairs in a step.")
    rate: float = Field(default=1e-3, gt=0, description="Highest learning rate.")
    usual: int = Field(
        default=64, ge=1, description="Shoppers over whom is measured what it writes for everybody."
    )
    commonest: int = Field(
        default=1_500,
        ge=0,
        description="Commonest words of Gemma's that are kept beside those of the catalogue.",
    )
    joined: int = Field(
        default=3_000, ge=0, description="Most pieces that join its words, up to whole titles that sell."
    )
    rank: int = Field(
        default=16,
        ge=0,
        description="Rank of the matrices that are learnt beside the layers' own (LoRA); 0 to learn the layers themselves.",
    )
    rows_rate: float = Field(
        default=0.5, gt=0, description="Learning rate of the vocabulary's rows, as a share of the others'."
    )
    model: str = Field(
        default="gemma3-270m", description="As `agents.local.model`: the packaged one, or a Gemma 3's folder."
    )
    cache: Path = Field(
        default=Path("~/.cache/nearline"), description="Where the packaged model is kept in converted form."
    )
