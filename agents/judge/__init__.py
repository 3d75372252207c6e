"""The judge: which demands are worth serving.

shop           what it asks of the catalogue (a protocol; the room knows none)
terms        which words of a phrase say what is wanted
features       what it measures: answer, ground, novelty
curves         how measures become chances
calibration    what was learnt, in one file with its making
judge          verdicts
opinion        a language model's verdict beside it, where one is configured
labelled       demands with known faults, made from a catalogue and histories
faults       how a good demand is spoilt
phrase       how a title becomes a shopper's words
measures       precision, recall and calibration on labelled demands
"""

from __future__ import annotations

from agents.judge.calibration import Calibration
from agents.judge.features import Case
from agents.judge.judge import Judge, Verdict
from agents.judge.shop import Near, Shop, Thing

__all__ = ["Calibration", "Case", "Judge", "Near", "Shop", "Thing", "Verdict"]
