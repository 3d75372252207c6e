"""Decision factors: what an item is chosen for, in the catalogue's own words.

tokens    a title as words, in any script
kinds     what a factor says (material, style, size …) and the words known beforehand, ``seeds.json``
lexicon   the factors of one shop, found in any title by lookup
mine      the lexicon of a catalogue, by counting
asked     factors that a language model names, each checked to stand in its title
"""

from __future__ import annotations

from agents.factors.kinds import Kind
from agents.factors.lexicon import Factor, Lexicon
from agents.factors.mine import Described, MiningSettings, mine
from agents.factors.tokens import occurs

__all__ = ["Described", "Factor", "Kind", "Lexicon", "MiningSettings", "mine", "occurs"]
