"""How fast a capture is replayed in place: to triggers, and with a strict cassette to slates.

    python -m bench.replay_in_place --index DIR [--events 200000] [--triggers 2000]

The events are synthetic: shoppers who view, click, search and order items of one category at a time, of the catalogue given.
The cassette is filled by code in the model's place (how fast an answer is read does not depend on who wrote it); its vectors are
the encoder's. Figures are by CPU seconds of this process on one thread, and by wall clock beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import msgspec

from agents.runtime import Generation
from agents.runtime.weights import locate
from agents.settings import AgentSettings
from bench.synthetic_capture import START, write_capture
from index.built.catalog import Catalog
from index.settings import IndexSettings
from stream.replay import thinking
from stream.replay.calls import Mode
from stream.replay.capture import Record
from stream.replay.replaying import Setup, Wish, replay
from stream.settings import KafkaSettings, StreamSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agents.runtime import Request
    from stream.replay.run import Run

PARTITIONS = 4


class ByCode:
    """In the model's place.

    As a student, which writes titles: for each of the four things done last another title with one of its words, the same
    whoever did it, cut at a word to ``longest`` characters. ``fresh``: three words of all that the shopper is told to have
    done, which nobody asks for twice.
    """

    def __init__(self, name: str, titles: Iterable[str], longest: int, *, fresh: bool) -> None:
        self.name, self.model = "local", name
        self._longest = longest
        self._fresh = fresh
        self._titles: defaultdict[str, list[str]] = defaultdict(list)
        for title in titles:
            for word in set(title.lower().split()):
                if word.isalpha():
                    self._titles[word].append(title)

    async def prepare(self, prompt: object, structure: object) -> None:
        """Nothing."""

    async def generate(
        self,
        requests: Sequence[Request],
        deadline: float | None = None,  # noqa: ARG002  # the protocol has it
    ) -> list[Generation]:
        """Four demands for each."""
        answers = []
        for request in requests:
            wanted = self._words(request.text) if self._fresh else self._named(request.text)
            answers.append(Generation(json.dumps({"queries": wanted}), 45, 20, "stop", (0.5,) * 4))
        return answers

    def _words(self, text: str) -> list[str]:
        words = [word for word in text.replace(";", " ").split() if word.isalpha()]
        dice = random.Random(text)
        chosen = [" ".join(dice.sample(words, min(3, len(words)))) for _ in range(4)]
        return [_cut(one, self._longest) or "a gift" for one in chosen]

    def _named(self, text: str) -> list[str]:
        wanted = []
        for label in text.replace("\n", ";").split(";")[-4:]:
            words = [word for word in label.split() if word in self._titles] or ["with"]
            dice = random.Random(label)
            titles = self._titles[dice.choice(words)]
            # Another title: the shopper's own would be refused as a copy.
            others = [one for one in titles if not label.startswith(one.lower()[:8])] or titles
            wanted.append(_cut(dice.choice(others), self._longest) if others else "a gift")
        return wanted

    async def ready(self) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Nothing."""


def _cut(text: str, longest: int) -> str:
    """The text, or as many of its first words as have room and are no more than a search has."""
    words = text.split()[:6]
    while len(words) > 1 and len(" ".join(words)) > longest:
        words.pop()
    return " ".join(words)[:longest]


def events(catalog: Catalog, count: int, shoppers: int) -> Iterator[tuple[str, int, Record]]:
    """Events of shoppers who stay with a category for a while; the same for the same numbers."""
    dice = random.Random(7)
    kafka = KafkaSettings()
    by_category: defaultdict[str, list[int]] = defaultdict(list)
    for row in range(len(catalog)):
        by_category[catalog.category(row)].append(row)
    groups = [rows for rows in by_category.values() if len(rows) >= 20] or list(by_category.values())
    taste = [dice.choice(groups) for _ in range(shoppers)]
    for number in range(count):
        user = min(int(dice.expovariate(4) * shoppers), shoppers - 1)
        if not dice.randrange(40):
            taste[user] = dice.choice(groups)
        row = dice.choice(taste[user])
        kind = dice.choices(("view", "click", "search", "cart", "order"), (60, 20, 10, 5, 5))[0]
        event = {"event_id": f"e{number}", "user_id": f"u{user}", "type": kind, "ts": START + number * 200}
        if kind == "search":
            event["query"] = " ".join(catalog.title(row).split()[:3])
        else:
            event["item_id"] = catalog.item_id(row)
        if kind == "order":
            event |= {"quantity": 1, "amount": 20.0}
        record = Record(0, START + number * 200, b"u%d" % user, msgspec.json.encode(event))
        yield str(kafka.topic_of(kind)), user % PARTITIONS, record


def timed(setup: Setup, wish: Wish) -> tuple[Run, float, float]:
    """A replay with its CPU and wall seconds."""
    began, cpu = time.perf_counter(), time.process_time()
    run = asyncio.run(replay(setup, wish))
    return run, time.process_time() - cpu, time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--slate-events", type=int, default=20_000)
    parser.add_argument("--shoppers", type=int, default=5_000)
    parser.add_argument("--fresh", action="store_true", help="no demand is asked for twice")
    asked = parser.parse_args()

    def by_code(agents: AgentSettings, titles: Iterable[str], categories: object) -> ByCode:  # noqa: ARG001  # as open_runtime
        return ByCode(locate(agents.local).name, titles, agents.query_chars, fresh=asked.fresh)

    faiss.omp_set_num_threads(1)
    catalog = Catalog.open(asked.index)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setup = Setup(StreamSettings(), AgentSettings(), IndexSettings(catalog=asked.index))
        write_capture(folder / "many", events(catalog, asked.events, asked.shoppers))
        run, cpu, wall = timed(setup, Wish(folder / "many", folder / "g", slates=False))
        rows = [("to triggers", run.events, run.triggers, cpu, wall)]
        write_capture(folder / "few", events(catalog, asked.slate_events, asked.shoppers // 10))
        thinking.open_runtime = by_code  # type: ignore[assignment,attr-defined]  # in the model's place
        wish = Wish(folder / "few", folder / "r", cassette=folder / "c", mode=Mode.RECORD)
        first, cpu, wall = timed(setup, wish)
        rows.append(("to slates, recording", first.events, first.triggers, cpu, wall))
        hashes = [first.hashes]
        for place in range(2):
            run, cpu, wall = timed(
                setup, Wish(folder / "few", folder / f"s{place}", cassette=folder / "c", mode=Mode.STRICT)
            )
            rows.append(("to slates, strict", run.events, run.triggers, cpu, wall))
            hashes.append(run.hashes)
        print(
            f"{'':22}{'events':>9}{'triggers':>9}{'CPU s':>8}{'wall s':>8}{'events/CPU s':>14}{'triggers/CPU s':>16}"
        )
        for what, count, fired, used, took in rows:
            print(
                f"{what:22}{count:9,}{fired:9,}{used:8.2f}{took:8.2f}{count / used:14,.0f}{fired / used:16,.0f}"
            )
        print("seconds of the last:", run.seconds, run.rungs)
        print("the same, byte for byte:", len(set(map(repr, hashes))) == 1, hashes[-1].all)


if __name__ == "__main__":
    main()
