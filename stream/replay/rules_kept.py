"""The rules that go along with a capture: versions, texts, and where each partition changed from one to the next."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from stream.gate.rules.book import RuleBook, Version
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import Boundary, InForce, begin, follow
from stream.gate.rules.ruleset import parse_rules
from stream.gate.state.checkpoint import CheckpointStore
from stream.replay.errors import CaptureError
from stream.replay.manifest import Kept, write_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence
    from pathlib import Path

    from redis.asyncio import Redis

    from stream.gate.gate import Arrival
    from stream.gate.rules.ruleset import RuleSet

__all__ = ["RULES_FILE", "RulesKept", "Stretch", "stretches_of"]

RULES_FILE = "rules.json"


class RulesKept(msgspec.Struct):
    """``rules.json``.

    Attributes:
        versions: the book of rules, newest first.
        texts: digest to text of every rule set that a partition stood under.
        boundaries: number of a partition to where it changed its rules, the earliest first.
    """

    versions: list[Version] = []
    texts: dict[str, str] = {}
    boundaries: dict[str, list[Boundary]] = {}

    @classmethod
    async def of(cls, redis: Redis, prefix: str, partitions: Iterable[int]) -> RulesKept:
        """What Redis holds of these partitions.

        Raises:
            RulesError: a version in the book is damaged.
        """
        book, store = RuleBook(redis, prefix), CheckpointStore(redis, prefix)
        found = {str(number): await store.read_boundaries(number) for number in partitions}
        digests = {boundary.digest for boundaries in found.values() for boundary in boundaries}
        texts = {}
        for digest in sorted(digests):
            text = await cast("Awaitable[bytes | None]", redis.hget(book.keys[2], digest))
            if text is not None:
                texts[digest] = text.decode()
        return cls(await book.history(), texts, {number: kept for number, kept in found.items() if kept})

    def save(self, folder: Path) -> Kept:
        """Write them beside the segments; return the file and its hash."""
        data = msgspec.json.encode(self)
        write_whole(folder / RULES_FILE, data)
        return Kept(RULES_FILE, hashlib.sha256(data).hexdigest())

    @classmethod
    def load(cls, folder: Path, kept: Kept | None) -> RulesKept:
        """What was recorded; nothing where no rules were.

        Raises:
            CaptureError: the file is missing or not what was recorded.
        """
        if kept is None:
            return cls()
        path = folder / kept.file
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == kept.sha256:
                return msgspec.json.decode(data, type=cls)
            told = "its hash is another"
        except (OSError, msgspec.DecodeError) as error:
            told = str(error)
        raise CaptureError(
            f"{path} is not what was recorded: {told}.",
            way_out="Restore it from a copy, or replay under rules of your choice (--rules FILE).",
        )


class Stretch(NamedTuple):
    """Rules of a partition, and the offset by topic from which they evaluate its events."""

    rules: CompiledRules
    in_force: InForce
    offsets: dict[str, int]

    def holds(self, arrival: Arrival) -> bool:
        """Whether an event is evaluated by these rules, or later ones."""
        return arrival.offset >= self.offsets.get(arrival.topic, 0)


def stretches_of(kept: RulesKept, partition: int, otherwise: RuleSet) -> list[Stretch]:
    """The rules of a partition in their order; ``otherwise`` alone where no gate has left a boundary.

    Raises:
        CaptureError: the text of a rule set is not in the capture.
    """
    boundaries: Sequence[Boundary] = kept.boundaries.get(str(partition), [])
    if not boundaries:
        rules = CompiledRules(otherwise)
        return [Stretch(rules, begin(rules), {})]
    found: list[Stretch] = []
    for boundary in boundaries:
        text = kept.texts.get(boundary.digest)
        if text is None:
            raise CaptureError(
                f"Partition {partition} stood under rules {boundary.digest}, and the capture does not have their text.",
                way_out="Replay under rules of your choice (--rules FILE).",
            )
        rules = CompiledRules(parse_rules(text, f"rules {boundary.digest}", strict=False), boundary.version)
        in_force = follow(found[-1].in_force, rules) if found else begin(rules)
        found.append(Stretch(rules, in_force, boundary.offsets))
    return found
