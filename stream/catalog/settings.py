"""Settings of the living catalogue."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CatalogSettings"]


class CatalogSettings(BaseModel):
    """How a worker follows changes to the catalogue."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    batch: int = Field(
        default=256, ge=1, description="Most changes applied at one time; each batch is seen whole."
    )
    max_bytes: int = Field(default=131_072, ge=256, description="A longer change is dead.")
    watch_s: float = Field(
        default=0.5, gt=0, description="Seconds between two looks for a newly published version."
    )
    fold_at: int = Field(
        default=20_000,
        ge=0,
        description="Changes after which a worker makes them part of a new version, in a process of its own; 0 for never.",
    )
