"""Where new intents begin: the shopper as a trigger would show them when an intent has shown itself in its first events."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from stream.events import EventDecoder
from stream.gate.state.activity import Activity
from stream.gate.state.ledger import LedgerEntry
from stream.gate.state.recent import Recent, fingerprint
from stream.triggers import Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.settings import GateSettings
    from stream.shoppers.population import Intent, Population

__all__ = ["Beginning", "beginnings"]

RULE: Final = "new-intent"
_ledger = msgspec.json.Decoder(list[LedgerEntry]).decode


@dataclass(frozen=True, slots=True)
class Beginning:
    """A new intent after its first events.

    Attributes:
        intent: What the shopper wants, and who they are.
        trigger: What is known of them, as the gate would send it at the last of these events.
        signs: The events that served the intent so far, oldest first.
        session: Everything that the shopper did in this visit so far, oldest first.
    """

    intent: Intent
    trigger: Trigger
    signs: tuple[Recent, ...]
    session: tuple[Recent, ...]


def beginnings(
    population: Population,
    gate: GateSettings,
    categories: Mapping[str, str],
    *,
    signs: int = 2,
    seed: int = 0,
) -> list[Beginning]:
    """One beginning of each shopper, drawn from all of theirs, in order of the shoppers.

    The shopper's activity is the gate's own, with its limits. Shoppers whose new intents all ended sooner have none.

    Args:
        population: Who shops.
        gate: How much the gate remembers of a shopper.
        categories: By item its category, for the ledger.
        signs: So many events of the intent have happened.
        seed: Of the drawing.
    """
    decoder = EventDecoder()
    activities: dict[str, Activity] = {}
    visits: dict[str, tuple[str, list[str]]] = {}
    found: dict[str, Beginning] = {}
    many: dict[str, int] = {}
    rng = random.Random(f"{seed}/beginnings")
    for raw, intent in population.served():
        event = decoder.decode(msgspec.json.encode(raw), raw["ts"])
        user = event.user_id
        activity = activities.setdefault(user, Activity())
        activity.remember(event, 0, fingerprint(event.event_id), gate.recent_events)
        if event.type == "order":
            category = categories.get(event.item_id or "", "")
            activity.enter(event.ts, category, 0, event.quantity or 1, gate.ledger_weeks)
        session, visit = visits.get(user, ("", []))
        if session != event.session_id:
            visit = []
        visit.append(event.event_id)
        visits[user] = (event.session_id or "", visit)
        if intent is None or not intent.new or len(intent.events) != signs:
            continue
        # The n-th of a shopper's takes the place of the one before with chance 1/n, so that each is as likely.
        many[user] = many.get(user, 0) + 1
        if rng.random() * many[user] < 1:
            found[user] = _beginning(intent, activity, visit, gate)
    return [found[user] for user in sorted(found)]


def _beginning(intent: Intent, activity: Activity, visit: list[str], gate: GateSettings) -> Beginning:
    recent = activity.recent.decode()
    last = recent[-1]
    trigger = Trigger(
        id=f"{intent.user}-{intent.number}",
        rule=RULE,
        rules="",
        user=intent.user,
        seq=1,
        event_id=last.event_id,
        ts=last.ts,
        sent_at=last.ts,
        made_at=last.ts,
        recent=recent,
        ledger=_ledger(activity.ledger_json(gate.ledger_weeks)),
    )
    own, here = frozenset(intent.events), frozenset(visit)
    return Beginning(
        intent,
        trigger,
        tuple(one for one in recent if one.event_id in own),
        tuple(one for one in recent if one.event_id in here),
    )
