"""What is known of one shopper: activity, ledger, preferences, triggers and the slate with its chain."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.history import monday_of, weeks_of_shopper
from agents.preference import preferences
from stream.gate.state.activity import Activity
from stream.gate.state.checkpoint import CheckpointStore
from stream.infer.shopper import shopper_of
from stream.slates import SlateStore
from stream.triggers import Trigger

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from agents.factors import Lexicon
    from agents.preference import Preference
    from console.web.catalog import OpenCatalog
    from stream.gate.state.ledger import LedgerEntry
    from stream.settings import StreamSettings
    from stream.slates import Slate, Trace

__all__ = ["Event", "Place", "ShopperView", "Week", "read_shopper"]

_LEDGER_WEEKS = 26


@dataclass(frozen=True, slots=True)
class Event:
    """Something a shopper did, with the catalogue's words."""

    ts: int
    type: str
    what: str
    item: str
    category: str
    scene: str
    quantity: int
    amount: float
    id: str


@dataclass(frozen=True, slots=True)
class Week:
    """What was bought in one week: its Monday, and by category (lines, pieces, amount)."""

    monday: str
    lines: list[tuple[str, int, int, float]]


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the slate: the item with its words, and its part of the chain if there still is one."""

    place: int
    item: str
    title: str
    category: str
    query: str
    why: str
    channel: str
    score: float
    ranks: dict[str, int]
    parts: list[tuple[str, float]]


@dataclass(slots=True)
class ShopperView:
    """All of it. ``activity`` is None where the gate keeps no state, ``slate`` where there is none now."""

    user: str
    partition: int | None
    activity: Activity | None
    slate: Slate | None
    trace: Trace | None
    expires_s: int | None
    events: list[Event] = field(default_factory=list)
    weeks: list[Week] = field(default_factory=list)
    categories: tuple[str, ...] = ()
    preferences: tuple[Preference, ...] = ()
    fired: list[tuple[str, int, int]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether anything at all is known."""
        return self.activity is not None or self.slate is not None or self.trace is not None


async def read_shopper(
    redis: Redis, settings: StreamSettings, user: str, partitions: int, catalog: OpenCatalog
) -> ShopperView:
    """Read everything about a shopper: one round trip, and the catalogue.

    Raises:
        CheckpointError: the shopper's state in Redis cannot be read.
    """
    prefix = settings.redis.prefix
    store, checkpoints = SlateStore(redis, prefix, settings.slates), CheckpointStore(redis, prefix)
    # Which partition a shopper is in was decided by whoever sent their events: ask for all, one key each.
    pipe = redis.pipeline(transaction=False)
    for number in range(partitions):
        pipe.get(checkpoints.state_key(number, user))
    pipe.ttl(store.slate_key(user))
    *states, ttl = await pipe.execute()
    found = next(((number, data) for number, data in enumerate(states) if data is not None), None)
    view = ShopperView(
        user,
        found[0] if found else None,
        Activity.decode(found[1], user) if found else None,
        await store.slate(user),
        await store.trace(user),
        ttl if ttl > 0 else None,
    )
    if view.activity is not None:
        _tell_activity(view, view.activity, catalog, await catalog.lexicon())
    if view.slate is not None:
        _tell_slate(view, view.slate, catalog)
    return view


def _tell_activity(
    view: ShopperView,
    activity: Activity,
    catalog: OpenCatalog,
    lexicon: Lexicon | None,
) -> None:
    recent = activity.recent.decode()
    for one in reversed(recent):
        known = catalog.known(one.item_id)
        view.events.append(
            Event(
                one.ts,
                one.type,
                one.query or known.title,
                one.item_id,
                known.category,
                one.scene,
                one.quantity,
                one.cents / 100,
                one.event_id,
            )
        )
    ledger = activity.ledger.entries() if activity.ledger is not None else []
    view.weeks = _weeks(ledger)
    view.fired = sorted(
        ((rule, count, last) for rule, (count, last) in activity.fired.items()), key=lambda one: -one[2]
    )
    # What a trigger would carry at this moment: the same code then tells what inference would know.
    snapshot = Trigger(
        "", "", "", view.user, activity.seq, "", activity.last_ts, 0, int(time.time() * 1000), recent, ledger
    )
    shopper = shopper_of(snapshot, catalog.titles)
    view.categories = shopper.categories
    if lexicon is not None:
        view.preferences = preferences(
            weeks_of_shopper(shopper, lexicon), shopper.recent, shopper.moment, lexicon
        )


def _weeks(ledger: list[LedgerEntry]) -> list[Week]:
    by_week: dict[int, list[tuple[str, int, int, float]]] = {}
    for entry in ledger:
        by_week.setdefault(entry.week, []).append(
            (entry.category, entry.lines, entry.quantity, entry.cents / 100)
        )
    newest = sorted(by_week, reverse=True)[:_LEDGER_WEEKS]
    return [
        Week(monday_of(week).isoformat(), sorted(by_week[week], key=lambda one: -one[3])) for week in newest
    ]


def _tell_slate(view: ShopperView, slate: Slate, catalog: OpenCatalog) -> None:
    chain: dict[str, dict[str, Any]] = {}
    if view.trace is not None and view.trace.version == slate.version:
        chain = {candidate["item"]: candidate for candidate in view.trace.candidates}
    for number, candidate in enumerate(slate.candidates, 1):
        told = chain.get(candidate.item, {})
        known = catalog.known(candidate.item)
        parts = sorted((told.get("parts") or {}).items(), key=lambda part: -abs(part[1]))
        view.places.append(
            Place(
                number,
                candidate.item,
                told.get("title") or known.title,
                known.category,
                candidate.query,
                candidate.why,
                candidate.channel,
                candidate.score,
                told.get("ranks") or {},
                parts,
            )
        )
