"""The rules a worker evaluates by, kept up with the book of rules while it runs.

The number in force is asked for every :data:`POLL_S`; asking survives whatever happens to a
connection. A new version is read and compiled beside the event loop, and partitions change to it
between two batches (:meth:`stream.gate.agent.GateAgent.change_rules`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stream.errors import RulesError
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.ruleset import parse_rules

if TYPE_CHECKING:
    from stream.gate.rules.book import RuleBook, Version
    from stream.gate.rules.in_force import InForce

__all__ = ["POLL_S", "LiveRules"]

log = logging.getLogger(__name__)

# A third of a change's way into force at most; a GET by ten workers at this pace is a hundred a second.
POLL_S = 0.1

_KNOWN = 64


class LiveRules:
    """The newest rules, and those that partitions still stand under.

    Args:
        book: the book of rules.
        seed: text of the rules file, which counts while the book is empty; ``source`` is its name.
        source: what errors call the seed.

    Attributes:
        newest: what partitions are to change to.
        refused: number of a version that this program cannot read, and why; None where there is none.
    """

    def __init__(self, book: RuleBook, seed: str, source: str) -> None:
        self._book = book
        rules = parse_rules(seed, source)
        self._seed = seed
        self.seed = self.newest = CompiledRules(rules)
        self.refused: tuple[int, str] | None = None
        self._known: dict[tuple[int, str], CompiledRules] = {(0, self.seed.digest): self.seed}

    async def start(self) -> None:
        """Leave the seed in the book's texts, and find out what is in force."""
        await self._book.remember(self.seed.digest, self._seed)
        await self.refresh()

    async def refresh(self) -> bool:
        """Take up what is in force in the book; whether that is something new.

        A version that this program cannot read is refused and logged once; the rules stay as they are.
        """
        number = await self._book.number()
        if number == self.newest.number or (self.refused is not None and self.refused[0] == number):
            return False
        if number == 0:
            self.refused = (0, "the book of rules has lost its versions; those in force stay")
            log.error("%s", self.refused[1])
            return False
        try:
            version = await self._book.version(number)
            newest = await asyncio.to_thread(_compile, version)
        except RulesError as error:
            self.refused = (number, error.message)
            log.warning("version %d of the rules is refused, those before stay in force: %s", number, error)
            return False
        self.newest, self.refused = newest, None
        self._known[number, newest.digest] = newest
        while len(self._known) > _KNOWN:  # partitions keep the rules they stand under themselves
            del self._known[next(iter(self._known))]
        log.info("rules %s by %s: %s", newest.version, version.author, version.note)
        return True

    async def of(self, in_force: InForce) -> CompiledRules:
        """The rules that a checkpoint was made under.

        Raises:
            CheckpointError: their text is not there, or cannot be read.
        """
        key = (in_force.version, in_force.digest)
        rules = self._known.get(key)
        if rules is None:
            found = await self._book.rules_of(in_force.digest)
            rules = self._known[key] = await asyncio.to_thread(CompiledRules, found, in_force.version)
        return rules


def _compile(version: Version) -> CompiledRules:
    return CompiledRules(parse_rules(version.text, f"version {version.number}", strict=False), version.number)
