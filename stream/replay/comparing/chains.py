"""How a slate of a run came about, put together from the run's tables: events, trigger, prompt, demands, items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream.replay.comparing.golden import read_golden
from stream.replay.errors import RunError
from stream.slates import Slate
from stream.triggers import decode_trigger

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from stream.replay.comparing.golden import Row

__all__ = ["Chain", "Event", "Shown", "Wanted", "acts_of", "chains_of", "titles_of"]


class Event(msgspec.Struct, frozen=True):
    """What a shopper did: ``text`` is the item's title, or the words of a search; ``item`` may be empty."""

    ts: int
    type: str
    text: str
    item: str


class Wanted(msgspec.Struct, frozen=True):
    """A demand, or with a reason one that was rejected."""

    query: str
    confidence: float | None = None
    judged: float | None = None
    rejected: str = ""


class Shown(msgspec.Struct, frozen=True):
    """An item of a slate."""

    item: str
    title: str
    category: str
    score: float
    query: str
    why: str
    channel: str


class Chain(msgspec.Struct, frozen=True):
    """From what a shopper did to the slate that was made of it. Times are event times in ms."""

    place: int
    user: str
    rule: str
    ts: int
    event_id: str
    events: list[Event]
    rung: str
    note: str
    model: str
    prompt_version: str
    prompt: str
    output: str
    demands: list[Wanted]
    rejected: list[Wanted]
    slate: list[Shown]


class _Demand(msgspec.Struct):
    query: str
    confidence: float | None = None
    judged: float | None = None
    reason: str = ""


_decode_demands = msgspec.json.Decoder(list[_Demand]).decode
_decode_slate = msgspec.json.Decoder(Slate).decode


def chains_of(folder: Path, places: Collection[int]) -> dict[int, Chain]:
    """The chains of these triggers of a run, by place; titles are those of the run's time.

    A golden has the trigger, the queries and the items, and neither titles nor prompts.

    Raises:
        RunError: a table is missing or damaged.
    """
    if not places:
        return {}
    chosen = sorted(set(places))
    if folder.is_file():
        return {place: _chain_of(place, row) for place, row in _chosen(folder, chosen)}
    triggers = {row["place"]: row for row in _rows(folder, "triggers", "place", chosen)}
    demands = {row["place"]: row for row in _rows(folder, "demands", "place", chosen)}
    slates = {
        row["place"]: _decode_slate(row["slate"]).candidates
        for row in _rows(folder, "slates", "place", chosen)
    }
    fired = {place: decode_trigger(row["trigger"]) for place, row in triggers.items()}
    touched = {one.item_id for trigger in fired.values() for one in trigger.recent if one.item_id}
    titles = titles_of(folder, touched | {one.item for slate in slates.values() for one in slate})
    found = {}
    for place, trigger in fired.items():
        said = demands.get(place, {})
        found[place] = Chain(
            place=place,
            user=trigger.user,
            rule=trigger.rule,
            ts=trigger.ts,
            event_id=trigger.event_id,
            events=[
                Event(one.ts, one.type, titles.get(one.item_id, ("", ""))[0] or one.query, one.item_id)
                for one in trigger.recent
            ],
            rung=said.get("rung", ""),
            note=said.get("note", ""),
            model=f"{said.get('model', '')} ({said.get('runtime', '')})" if said.get("model") else "",
            prompt_version=said.get("prompt_version", ""),
            prompt=said.get("prompt", ""),
            output=said.get("output", ""),
            demands=_wanted(said.get("demands")),
            rejected=_wanted(said.get("rejected")),
            slate=[
                Shown(one.item, *titles.get(one.item, ("", "")), one.score, one.query, one.why, one.channel)
                for one in slates.get(place, [])
            ],
        )
    return found


def acts_of(folder: Path, users: Collection[str]) -> dict[str, list[Event]]:
    """The clicks and orders of these shoppers, by shopper and in the order of time.

    Raises:
        RunError: the table is missing or damaged.
    """
    if not users:
        return {}
    found: dict[str, list[Event]] = {user: [] for user in users}
    for row in _rows(folder, "acts", "user", sorted(users)):
        found[row["user"]].append(Event(row["ts"], row["type"], "", row["item"]))
    for acts in found.values():
        acts.sort(key=lambda act: act.ts)
    return found


def titles_of(folder: Path, items: Collection[str]) -> dict[str, tuple[str, str]]:
    """Title and category of items, as far as the run knows them; a golden knows none.

    Raises:
        RunError: the table is missing or damaged.
    """
    rows = _rows(folder, "items", "item", sorted(items)) if items and folder.is_dir() else []
    return {row["item"]: (row["title"], row["category"]) for row in rows}


def _chosen(golden: Path, places: list[int]) -> list[tuple[int, Row]]:
    _, rows = read_golden(golden)
    return [(place, rows[place]) for place in places]


def _chain_of(place: int, row: Row) -> Chain:
    return Chain(
        place=place,
        user=row.user,
        rule=row.rule,
        ts=row.ts,
        event_id=row.event,
        events=[],
        rung=row.rung,
        note="",
        model="",
        prompt_version="",
        prompt="",
        output="",
        demands=[Wanted(query) for query in row.queries],
        rejected=[],
        slate=[Shown(item, "", "", 0.0, "", "", "") for item in row.items or []],
    )


def _wanted(data: bytes | None) -> list[Wanted]:
    if not data:
        return []
    return [Wanted(one.query, one.confidence, one.judged, one.reason) for one in _decode_demands(data)]


def _rows(folder: Path, table: str, column: str, values: Sequence[object]) -> list[dict[str, Any]]:
    path = folder / f"{table}.parquet"
    try:
        # Only row groups that may hold these values are decoded: prompts of a large run need not fit into memory.
        return pq.read_table(path, filters=[(column, "in", values)], use_threads=False).to_pylist()  # type: ignore[no-any-return]
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} cannot be read: {error}.", way_out="Replay the capture again.") from error
