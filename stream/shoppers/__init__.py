"""Shoppers with known intents, simulated: load for a pipeline, and a truth to judge its slates by.

    wants        what one can want of a catalogue: the items of a category whose titles share a word
      shopper    one shopper: habits that drift, new intents, sessions of searches, views, carts and orders
        population   many of them, merged in order of time, with the truth of who wanted what, when
            beginnings  where a new intent begins: what a trigger would tell of the shopper after its first events

Everything is drawn by a seed and **invented**: each event says so with ``synthetic: true``. What purchase logs cannot
show it can: how soon after the first signs of a new intent a slate answers it.
"""

from stream.shoppers.beginnings import Beginning, beginnings
from stream.shoppers.population import Intent, Population
from stream.shoppers.shopper import ShopperRule
from stream.shoppers.wants import Want, Wants

__all__ = ["Beginning", "Intent", "Population", "ShopperRule", "Want", "Wants", "beginnings"]
