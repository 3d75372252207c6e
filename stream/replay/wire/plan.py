"""What the workers of a replay are told: names, rules with their offsets, cassette. A file beside the run that comes of it."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.replay.calls import Mode
from stream.replay.errors import WireError
from stream.replay.manifest import write_whole
from stream.replay.rules_kept import RulesKept

if TYPE_CHECKING:
    from pathlib import Path

    from stream.settings import StreamSettings

__all__ = ["PLAN", "Asked", "Names", "Plan", "names_for"]

PLAN = "wire.json"


class Names(msgspec.Struct, frozen=True):
    """What stands before every topic and group on the broker, and before every key in Redis."""

    topics: str
    keys: str


class Plan(msgspec.Struct, kw_only=True):
    """What a worker of a replay must know beside the settings.

    Attributes:
        names: where the replay lives; whoever repeats an interrupted replay removes what lies there.
        own: whether topics and keys are the replay's alone and may be removed with it.
        brokers: addresses of the broker, as they were.
        topics: the replay's topics in full, those of events and of the catalogue among them.
        rules: text of the rules that count without a boundary; of all events where ``given``.
        given: whether they were given for the replay; then none of those recorded counts.
        kept: the recorded rules, with the offsets that their boundaries have on the replay's topics.
        until: where the future begins for a record that does not say when it was sent, milliseconds.
        changes: how many records each partition of the catalog topic has.
        model: whether there is a language model.
        cassette: its file, ``mode``, and ``since`` when this recording began.
    """

    names: Names
    own: bool
    brokers: str
    topics: list[str]
    rules: str
    given: bool
    kept: RulesKept
    until: int
    changes: list[int] = []
    model: bool = True
    cassette: str | None = None
    mode: Mode = Mode.OFF
    since: int = 0

    def save(self, folder: Path) -> Path:
        """Write it into ``folder``; return its file."""
        path = folder / PLAN
        write_whole(path, msgspec.json.encode(self))
        return path

    @classmethod
    def load(cls, path: Path) -> Plan:
        """The plan in a file.

        Raises:
            WireError: there is none, or it is of another version.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as error:
            raise WireError(
                f"{path} is not the plan of a replay: {error}.",
                way_out="`nearline replay CAPTURE --wire` writes it and starts its workers itself.",
            ) from error


class Asked(NamedTuple):
    """Prefixes that were asked for; None for ones that nobody else has."""

    topics: str | None = None
    keys: str | None = None


def names_for(run: str, stream: StreamSettings, asked: Asked, *, production: bool) -> tuple[Names, bool]:
    """Prefixes for the replay's topics and keys, and whether they are its alone.

    Args:
        run: name of the run.
        stream: the settings; its prefixes are those of production.
        asked: prefixes that were asked for.
        production: whether it was said that production's own names may be written to.

    Raises:
        WireError: they are production's, and it was not said.
    """
    mark = f"{re.sub(r'[^A-Za-z0-9_-]', '-', run)[:80]}-{secrets.token_hex(4)}"
    names = Names(
        asked.topics if asked.topics is not None else f"replay-{mark}.",
        asked.keys if asked.keys is not None else f"nlreplay:{mark}:",
    )
    if not re.fullmatch(r"[A-Za-z0-9._-]*", names.topics) or len(names.topics) > 150:
        raise WireError(
            f"{names.topics!r} cannot stand before topics.",
            way_out="Use letters, digits, dots, dashes and underscores, 150 at most.",
        )
    live = [
        f"{what} {name!r}"
        for what, name, own in (
            ("topics", names.topics, stream.kafka.prefix),
            ("keys", names.keys, stream.redis.prefix),
        )
        if not name or name == own
    ]
    if live and not production:
        raise WireError(
            f"The replay would write under production's own names: {' and '.join(live)}.",
            way_out="Give prefixes of its own, or leave them to the replay; --yes-production if you mean it.",
        )
    return names, not live
