"""One replay in place, from a folder with a capture to a folder with a run."""

from __future__ import annotations

import gc
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from index.built.catalog import Catalog
from index.errors import CatalogMissingError
from stream.gate.rules.ruleset import load_rules, parse_rules
from stream.replay.calls import Mode
from stream.replay.capture import Capture
from stream.replay.cassette import Cassette
from stream.replay.fired import Firings
from stream.replay.in_place import InPlace
from stream.replay.rules_kept import RulesKept
from stream.replay.run import RunWriter, Told
from stream.replay.thinking import open_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agents.settings import AgentSettings
    from index.settings import IndexSettings
    from stream.gate.rules.ruleset import RuleSet
    from stream.replay.in_place import Progress, Thinking
    from stream.replay.run import Run
    from stream.settings import StreamSettings

__all__ = ["Setup", "Wish", "replay"]

# New objects between two runs of the garbage collector; Python's own few hundred cost a tenth of the time.
_COLLECT_EVERY = 100_000


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings that a replay runs under."""

    stream: StreamSettings
    agents: AgentSettings
    index: IndexSettings


@dataclass(frozen=True, slots=True)
class Wish:
    """What to replay and how.

    Attributes:
        capture: folder of the capture.
        run: folder of the run.
        rules: a rules file; None for those recorded.
        users: these shoppers only; None for all.
        slates: go on to slates; without, stop at triggers.
        model: with the language model; without, demands are written by code.
        cassette: its file, and ``mode``.
        speed: of the shoppers' clocks; None for as fast as it goes.
        chains: keep the whole chain of each slate.
        replace: take the place of a run of the same name.
    """

    capture: Path
    run: Path
    rules: Path | None = None
    users: frozenset[str] | None = None
    slates: bool = True
    model: bool = True
    cassette: Path | None = None
    mode: Mode = Mode.OFF
    speed: float | None = None
    chains: bool = False
    replace: bool = False


async def replay(setup: Setup, wish: Wish, progress: Callable[[Progress], None] | None = None) -> Run:
    """Replay a capture in place and keep the run.

    Raises:
        CaptureError: the capture cannot be read, or has no event to replay.
        RulesError: the rules file is wrong.
        CassetteError: the cassette cannot be used; ``CallMissingError`` where it is strict and lacks a call.
        CatalogError: there is no catalogue and slates are wanted.
        AgentError: the model cannot be loaded.
        RunError: the run cannot be written.
    """
    capture = Capture(wish.capture)
    rules = load_rules(wish.rules) if wish.rules is not None else None
    kept = RulesKept.load(wish.capture, capture.manifest.rules) if rules is None else RulesKept()
    otherwise = rules or _newest(kept) or load_rules(setup.stream.gate.rules)
    told = Told(
        name=wish.run.name,
        capture=str(wish.capture),
        capture_sha256=capture.sha256,
        rules=rules.digest if rules is not None else _as_recorded(kept, otherwise),
        users=sorted(wish.users or ()),
        notes=capture.manifest.cautions(),
    )
    try:
        catalog: Catalog | None = Catalog.open(setup.index.catalog)
    except CatalogMissingError:
        if wish.slates:
            raise
        catalog = None
        told.notes.append("Without a catalogue items are taken as they come, without category.")
    used = wish.cassette is not None and wish.mode is not Mode.OFF and wish.slates
    holder = Cassette(wish.cassette, wish.mode) if used and wish.cassette is not None else nullcontext()
    with holder as cassette, RunWriter(wish.run, replace=wish.replace) as writer:
        thinking = await _thinking(setup, wish, cassette, told) if wish.slates else None
        published = catalog.manifest.published if catalog is not None else None
        firings = Firings(
            capture,
            setup.stream.gate,
            rules=rules,
            kept=kept,
            otherwise=otherwise,
            categories=catalog.category_of_item() if catalog is not None else None,
            users=wish.users,
            did=lambda acts: writer.add("acts", acts),
            known=published.offsets if published is not None else None,
        )
        try:
            replaying = InPlace(firings, thinking, writer, speed=wish.speed, chains=wish.chains)
            with _seldom_collected():
                return await replaying.run(told, cassette, progress)
        finally:
            if thinking is not None:
                await thinking.ladder.runtime.close()


async def _thinking(setup: Setup, wish: Wish, cassette: Cassette | None, told: Told) -> Thinking:
    thinking = await open_thinking(
        setup.agents,
        setup.index,
        setup.stream.infer,
        setup.stream.slates,
        cassette=cassette,
        model=wish.model,
    )
    recall = thinking.living.now
    told.prompt = thinking.ladder.prompt.version
    told.model = f"{thinking.ladder.runtime.name} {thinking.ladder.runtime.model}"
    told.index = recall.catalog.manifest.build_id
    told.encoder = recall.encoder.fingerprint
    told.cassette = str(wish.mode)
    return thinking


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the garbage collector look less often: events and states are many and hold no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _newest(kept: RulesKept) -> RuleSet | None:
    """The newest version of the recorded book; None where it is empty."""
    return parse_rules(kept.versions[0].text, "the recorded rules", strict=False) if kept.versions else None


def _as_recorded(kept: RulesKept, otherwise: RuleSet) -> str:
    return "as recorded" if kept.boundaries else otherwise.digest
