"""A run in memory, by columns: numbers in the place of names, so that runs of millions of triggers can be compared."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from stream.replay.errors import RunError
from stream.replay.run import read_run, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Any, TypeAlias

    from stream.replay.run import Run

    Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
    Small: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

__all__ = ["Book", "Columns", "Names", "Ragged", "columns_from", "columns_of", "prompt_hash"]

_NONE = -1


class Names:
    """Numbers for names, the same in all runs that are compared."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, name: str) -> int:
        """The name's number, a new one if it has none."""
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


class Book(NamedTuple):
    """The names of two runs that are compared."""

    users: Names
    rules: Names
    items: Names
    queries: Names
    rungs: Names

    @classmethod
    def new(cls) -> Book:
        """An empty one."""
        return cls(Names(), Names(), Names(), Names(), Names())


class Ragged:
    """Rows of numbers of different lengths, one for each trigger."""

    def __init__(self, rows: int) -> None:
        self._values = array("i")
        self._spans = np.zeros((rows, 2), np.int64)

    def put(self, row: int, values: Iterable[int]) -> None:
        """Set a row."""
        start = len(self._values)
        self._values.extend(values)
        self._spans[row] = start, len(self._values)

    def __getitem__(self, row: int) -> array[int]:
        start, end = self._spans[row]
        return self._values[start:end]

    @property
    def values(self) -> Small:
        """All values one after the other."""
        return np.frombuffer(self._values, np.int32) if self._values else np.zeros(0, np.int32)


class Columns(NamedTuple):
    """A run's triggers in their order, and what became of each.

    Attributes:
        run: its manifest.
        users, rules, ts: of each trigger; names as numbers, milliseconds.
        keys: of shopper, rule and event: what a trigger is in both runs.
        prompts: a hash of prompt and version; 0 where none was made.
        rungs: number of the rung; -1 where there are no demands.
        queries, slates: of each trigger, in their order.
        served: whether there is a slate.
        variety: sums over the slates: different categories, items of untouched categories, new items, items.
        asked: triggers for which the language model was asked, tokens of the prompts, tokens written.
    """

    run: Run
    users: Small
    rules: Small
    ts: Numbers
    keys: Numbers
    prompts: Numbers
    rungs: Small
    queries: Ragged
    slates: Ragged
    served: np.ndarray[Any, np.dtype[np.bool_]]
    variety: tuple[int, int, int, int]
    asked: tuple[int, int, int]


class _Item(msgspec.Struct):
    item: str


class _Shown(msgspec.Struct):
    candidates: list[_Item]


class _Query(msgspec.Struct):
    query: str


_decode_slate = msgspec.json.Decoder(_Shown).decode
_decode_demands = msgspec.json.Decoder(list[_Query]).decode


def columns_of(folder: Path, book: Book) -> Columns:
    """Read a run.

    Raises:
        RunError: there is no whole run, or it is damaged.
    """
    return columns_from(read_run(folder), _triggers(folder), _demands(folder), _slates(folder), book)


def columns_from(
    run: Run,
    triggers: Iterable[tuple[str, str, str, int]],
    demands: Iterable[tuple[int, str, int, list[str], int, int]],
    slates: Iterable[tuple[int, list[str], int, int, int]],
    book: Book,
) -> Columns:
    """Put a run together.

    Args:
        run: its manifest.
        triggers: shopper, rule, event and time of each, in their order.
        demands: place, rung, hash of the prompt (:func:`prompt_hash`), queries, tokens read and written.
        slates: place, items, different categories, items of untouched categories, new items.
        book: names as numbers.
    """
    users, rules, ts, keys = array("i"), array("i"), array("q"), array("q")
    for user, rule, event, when in triggers:
        users.append(book.users(user))
        rules.append(book.rules(rule))
        ts.append(when)
        keys.append(hash((user, rule, event)))
    count = len(users)
    prompts, rungs = np.zeros(count, np.int64), np.full(count, _NONE, np.int32)
    queries, shown, served = Ragged(count), Ragged(count), np.zeros(count, np.bool_)
    asked = [0, 0, 0]
    for place, rung, prompt, wanted, read, written in demands:
        prompts[place] = prompt
        rungs[place] = book.rungs(rung)
        queries.put(place, map(book.queries, wanted))
        for at, more in enumerate((read > 0, read, written)):
            asked[at] += more
    variety = [0, 0, 0, 0]
    for place, items, categories, unseen, new in slates:
        shown.put(place, map(book.items, items))
        served[place] = True
        for at, more in enumerate((categories, unseen, new, len(items))):
            variety[at] += more
    return Columns(
        run=run,
        users=_array(users, np.int32),
        rules=_array(rules, np.int32),
        ts=_array(ts, np.int64),
        keys=_array(keys, np.int64),
        prompts=prompts,
        rungs=rungs,
        queries=queries,
        slates=shown,
        served=served,
        variety=(variety[0], variety[1], variety[2], variety[3]),
        asked=(asked[0], asked[1], asked[2]),
    )


def prompt_hash(version: str, prompt: str) -> int:
    """A prompt as a number; the same in every process."""
    digest = hashlib.blake2b(f"{version}\0{prompt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _triggers(folder: Path) -> Iterator[tuple[str, str, str, int]]:
    rows = rows_of(folder, "triggers", ("place", "user", "rule", "event_id", "ts"))
    for at, (place, user, rule, event, ts) in enumerate(rows):
        if place != at:
            raise RunError(
                f"{folder / 'triggers.parquet'} has place {place} in row {at}.",
                way_out="Replay the capture again.",
            )
        yield user, rule, event, ts


def _demands(folder: Path) -> Iterator[tuple[int, str, int, list[str], int, int]]:
    wanted = ("place", "rung", "prompt_version", "prompt", "demands", "prompt_tokens", "output_tokens")
    for place, rung, version, prompt, data, read, written in rows_of(folder, "demands", wanted):
        queries = [one.query for one in _decode_demands(data)]
        yield place, rung, prompt_hash(version, prompt), queries, read, written


def _slates(folder: Path) -> Iterator[tuple[int, list[str], int, int, int]]:
    for place, data, *variety in rows_of(folder, "slates", ("place", "slate", "categories", "unseen", "new")):
        categories, unseen, new = variety
        yield place, [one.item for one in _decode_slate(data).candidates], categories, unseen, new


def _array(values: array[int], kind: type[Any]) -> Any:
    return np.frombuffer(values, kind) if values else np.zeros(0, kind)
