"""How a slate's candidates are found and ranked."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from index.demand_weights.weights import WeightSettings
from index.ranking.limits import Caps

__all__ = ["ChannelWeights", "RecallSettings"]


class ChannelWeights(BaseModel):
    """What each channel counts in the coarse score, against the others that answered; 0 leaves a channel out.

    Where there are recorded slates, `nearline rank train --slates` learns a ranker that orders the best few hundred in
    their place. Until then these hold. `behaviour` was chosen with ``python -m bench.live_slate``, the others by hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dense: float = Field(
        default=0.35,
        ge=0,
        description="Items near a demand in meaning. On judged queries of a shop of electronics, 0.35 was best beside two channels of words with 1 each; titles without descriptions need meaning more.",
    )
    lexical: float = Field(
        default=1.0, ge=0, description="Items that have a demand's words; the scale of the others."
    )
    behaviour: float = Field(
        default=2.0,
        ge=0,
        description="Items that go together with what the shopper took up. Purchases foretell purchases better than titles do; at 2 next purchases are foretold nearly as well as by behaviour alone, over half as many items again.",
    )
    popular: float = Field(
        default=0.1,
        ge=0,
        description="Popular items of the shopper's categories: they only fill and break ties.",
    )
    new: float = Field(
        default=0.05,
        ge=0,
        description="Items new to the shop, of the shopper's categories: nothing is known of them but their date; `discovery_share` gives them places.",
    )


class RecallSettings(BaseModel):
    """How a slate's candidates are found and ranked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=50, ge=1, le=1_000, description="Candidates in a slate.")
    per_query: int = Field(
        default=200, ge=1, le=1_000, description="Length of each demand's list in a channel of words."
    )
    per_text: int = Field(
        default=3,
        ge=1,
        description="Items with the same text that count fully in a demand's list; the next so many count half, then a third.",
    )
    behaviour_depth: int = Field(
        default=500, ge=1, le=5_000, description="Most items that the channel of behaviour brings."
    )
    popular_depth: int = Field(
        default=200, ge=0, le=5_000, description="Most items that the channel of popular items brings."
    )
    new_depth: int = Field(
        default=200, ge=0, le=5_000, description="Most items that the channel of new items brings."
    )
    weights: ChannelWeights = Field(
        default_factory=ChannelWeights, description="What each channel counts in the coarse score."
    )
    demands: WeightSettings = Field(
        default_factory=WeightSettings, description="How the evidence for a demand becomes its weight."
    )
    diversity: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="What is taken off an item's score for being like items above it, times their likeness; 0 for nothing. Little, because next purchases are often alike.",
    )
    caps: Caps = Field(
        default_factory=Caps, description="Most items of one category, brand or seller in a slate."
    )
    seller_attribute: str = Field(
        default="seller", description="The attribute of an item that names its seller, for the cap."
    )
    blocked: Path | None = Field(
        default=None, description="File of items never to be shown, an id on each line."
    )
    discovery_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of all places kept for items that are new or of categories that the shopper has not touched, as far as there are such candidates.",
    )
    new_days: float = Field(
        default=30.0, gt=0, description="An item is new for this many days after the shop first had it."
    )
    remembered: int = Field(
        default=4_000,
        ge=0,
        le=1_000_000,
        description="Demands whose lists are kept in memory until the catalogue changes: shoppers want the same things. About 11 KB each; 0 for none.",
    )
