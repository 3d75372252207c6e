"""What training a student can be told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainSettings"]


class TrainSettings(BaseModel):
    """Size of the student, and how long and how it learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: int = Field(default=6_000, ge=600, description="Most pieces of the tokenizer.")
    words: int = Field(default=3_000, ge=400, description="Of them, most pieces of words.")
    hidden: int = Field(default=192, ge=64, multiple_of=64, description="Width of the layers; heads have 64.")
    layers: int = Field(default=2, ge=1, le=24, description="Layers.")
    feed_forward: int = Field(default=512, ge=64, description="Width inside a layer.")
    history: int = Field(default=32, ge=1, le=200, description="Newest titles of a shopper that are read.")
    answers: int = Field(default=4, ge=1, le=40, description="Titles of one written answer.")
    warm_steps: int = Field(
        default=600, ge=0, description="Steps with one averaging layer only, before the others."
    )
    warm_batch: int = Field(default=256, ge=1, description="Pairs in such a step.")
    steps: int = Field(default=550, ge=1, description="Steps of the whole student.")
    batch: int = Field(default=64, ge=1, description="Pairs in a step.")
    warm_rate: float = Field(default=8e-3, gt=0, description="Highest learning rate of the warm steps.")
    rate: float = Field(default=1.5e-3, gt=0, description="Highest learning rate of the other steps.")
    apart: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Share of titles that are shown by words, as unknown ones will be.",
    )
    dropped: float = Field(
        default=0.1, ge=0, lt=1, description="Share of a history's titles that are left out."
    )
    seed: int = Field(default=0, ge=0, description="Of everything that is drawn.")
    threads: int = Field(default=2, ge=1, description="CPU threads.")
    device: str = Field(default="cpu", description="cpu or cuda.")
    checkpoint_s: float = Field(default=60.0, gt=0, description="Seconds between checkpoints.")
