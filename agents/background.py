"""What the slow agents know of a shopper, put together: history, preferences, portrait.

Pure and by code. Where the ledger has not moved, the portrait stays as it was, so that its wording is asked
for once; the rest is cheap and made at every trigger.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # pydantic reads the annotation at run time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from agents.compression import CompressionSettings, Compressor
from agents.history import join, weeks_of_shopper
from agents.portrait import PortraitSettings, ledger_mark, portrait_of_cells, refreshed
from agents.preference import PreferenceSettings, preferences
from agents.price_bands import PriceBands
from agents.shopper import Background
from agents.token_count import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agents.factors import Lexicon
    from agents.history import Cell
    from agents.portrait import Portrait
    from agents.preference import Wanted
    from agents.shopper import Shopper

__all__ = ["BackgroundSettings", "Backgrounds", "Told"]


class Told(StrEnum):
    """Which models are told what is known of a shopper beside the recent acts."""

    AUTO = "auto"
    """Those behind a server, and those asked by leads, which draw on it; in-process its some hundred tokens cost seconds."""
    ALWAYS = "always"
    """The in-process model too; never a student, whose form has no place for it."""
    NEVER = "never"
    """None."""


class BackgroundSettings(BaseModel):
    """What is told of a shopper beside the recent acts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    told: Told = Field(
        default=Told.AUTO,
        description="auto tells models behind a server and those asked by leads, always the in-process model too, never none.",
    )
    trends: Path | None = Field(
        default=None,
        description="File or folder of documents that trends are mined from at start; empty for none.",
    )
    compression: CompressionSettings = Field(
        default=CompressionSettings(), description="Room for the compressed history."
    )
    preference: PreferenceSettings = Field(
        default=PreferenceSettings(), description="Decay and support of preferences."
    )
    portrait: PortraitSettings = Field(
        default=PortraitSettings(), description="The rules of the kind of buyer."
    )


class Backgrounds:
    """Makes backgrounds for the shoppers of one shop; not for several threads at once.

    Args:
        lexicon: the shop's decision factors (``agents.factors.mine``).
        bands: the shop's prices by category; without them price bands are unknown.
        settings: rooms and rules.
        count: the length of a text in tokens, see ``agents.compression.Compressor``.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        bands: PriceBands | None = None,
        settings: BackgroundSettings | None = None,
        *,
        count: Callable[[str], int] = estimate,
    ) -> None:
        self._lexicon = lexicon
        self._bands = bands or PriceBands(())
        self._settings = settings or BackgroundSettings()
        self._compressor = Compressor(lexicon, self._settings.compression, count=count)

    def of(
        self,
        shopper: Shopper,
        *,
        earlier: Iterable[Cell] = (),
        wanted: Iterable[Wanted] = (),
        trends: Iterable[str] = (),
        portrait: Portrait | None = None,
    ) -> Background:
        """The background of a shopper at their trigger.

        ``earlier`` are cells of weeks that neither the ledger nor the recent acts reach; ``wanted`` is what
        similar shoppers went on to want; ``portrait`` the one made before, kept while the ledger is the same.

        Raises:
            HistoryError: a ledger line's week is no date ``yymmdd``.
        """
        cells = join(earlier, weeks_of_shopper(shopper, self._lexicon))
        settings = self._settings
        return Background(
            portrait=refreshed(
                portrait,
                ledger_mark(shopper.ledger),
                lambda: portrait_of_cells(
                    cells, self._lexicon, shopper.moment, bands=self._bands, settings=settings.portrait
                ),
            ),
            history=self._compressor.cells(cells, shopper.moment),
            preferences=preferences(
                cells,
                shopper.recent,
                shopper.moment,
                self._lexicon,
                wanted=wanted,
                settings=settings.preference,
            ),
            trends=tuple(trends),
        )
