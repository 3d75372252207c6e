"""A month of a shop, recorded from a topic, replayed under two rule files and compared: seconds of each step.

    python -m bench.replay_month --events online_retail.csv.gz [--month 2011-08] [--student DIR] [--work DIR] [--json FILE]

The orders are Online Retail's, the browsing before them is synthesised. They are sent to the embedded broker, and from there
it is the commands that a person would type: `nearline record`, `nearline replay` twice with a strict cassette, `nearline replay
diff --html`, each a process of its own. Before that, and not counted: the catalogue is built, the events are sent, and two
replays fill the cassette. ``--student`` names a student that `nearline distill train` wrote; without one, demands are written by code
and the cassette holds the encoder's calls alone. ``--work`` keeps everything, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from index import SentenceTransformerEncoder, build_catalog
from stream.datasets import OnlineRetail, write_json_lines
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.tansu import tansu_spec
from stream.gate.rules.ruleset import DEFAULT_RULES
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Mapping

BAR_S = 300
STRICTER = """version: 1
rules:
  - id: five-views
    about: Five detail views in half an hour, and not again for two hours.
    when: {types: [view], count: 5, within: 30m}
    cooldown: 2h
  - id: search
    about: A search, and not again for two hours.
    when: {types: [search, image_search], count: 1, within: 1m}
    cooldown: 2h
  - id: cart
    about: Something put into the cart.
    when: {types: [cart], count: 1, within: 5m}
    cooldown: 1h
"""


class Step(NamedTuple):
    """One command: what it was, seconds by the clock, CPU seconds, and what it printed."""

    name: str
    wall: float
    cpu: float
    said: dict[str, Any]


def nearline(name: str, environment: Mapping[str, str], *arguments: object) -> Step:
    """Run a command with ``--json``."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "console", *map(str, arguments), "--json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{name} failed with {done.returncode}; what it said stands above.")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Step(name, wall, cpu, json.loads(done.stdout))


def prepare(work: Path, shop: OnlineRetail) -> None:
    """Catalogue and rule files."""
    (work / "a.yaml").write_bytes(Path(str(DEFAULT_RULES)).read_bytes())
    (work / "b.yaml").write_text(STRICTER)
    if not (work / "catalog").exists():
        write_json_lines(work / "items.jsonl", shop.catalog())
        build_catalog(work / "items.jsonl", work / "catalog", SentenceTransformerEncoder())


async def send(brokers: str, shop: OnlineRetail, since: int, until: int) -> int:
    """Send the month's events; return how many."""
    kafka = KafkaSettings(brokers=brokers)
    create_topics(kafka)
    async with Player(kafka) as player:
        return (await player.play(shop.events(since=since, until=until))).events


def measure(work: Path, shop: OnlineRetail, month: tuple[int, int], student: Path | None) -> list[Step]:
    """Everything; returns the steps that count."""
    environment = {
        "NEARLINE_CONFIG": "",
        "NEARLINE_INDEX__CATALOG": str(work / "catalog"),
        "NEARLINE_RUN": str(work / "run"),
    }
    if student is not None:
        environment |= {
            "NEARLINE_AGENTS__RUNTIME": "student",
            "NEARLINE_AGENTS__STUDENT__MODEL": str(student),
        }
    model = () if student is not None else ("--no-model",)
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(dir=work) as once, Supervisor(work / "logs") as supervisor:
        supervisor.start(tansu_spec(port))
        sent = asyncio.run(send(f"{LOOPBACK}:{port}", shop, *month))
        print(f"sent {sent:,} events", flush=True)
        environment["NEARLINE_STREAM__KAFKA__BROKERS"] = f"{LOOPBACK}:{port}"
        capture = Path(once) / "capture"
        steps = [nearline("record", environment, "record", "--out", capture, "--no-rules")]

        def replayed(rules: str, mode: str) -> Step:
            how = ("--rules", work / f"{rules}.yaml", "--cassette", work / "cassette", "--mode", mode)
            where = ("--name", rules, "--runs", work / "runs", "--replace")
            return nearline(f"replay {rules}", environment, "replay", capture, *how, *where, *model)

        for rules in "ab":
            # What the cassette has from an earlier time is not asked again; there must be one for that.
            warmed = replayed(rules, "replay" if (work / "cassette").exists() else "record")
            print(f"cassette filled for {rules}: {warmed.wall:.0f} s, {warmed.cpu:.0f} CPU s", flush=True)
        steps += [replayed(rules, "strict") for rules in "ab"]
        page = ("--html", work / "difference.html")
        steps.append(
            nearline("diff", environment, "replay", "diff", "a", "b", "--runs", work / "runs", *page)
        )
    return steps


def month_of(text: str) -> tuple[int, int]:
    """First millisecond of a month and of the next, UTC."""
    first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp() * 1000), int(following.timestamp() * 1000)


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--month", default="2011-08")
    parser.add_argument("--student", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    shop = OnlineRetail(asked.events)
    with tempfile.TemporaryDirectory() as aside:
        work = (asked.work or Path(aside)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        prepare(work, shop)
        student = asked.student.resolve() if asked.student is not None else None
        steps = measure(work, shop, month_of(asked.month), student)
    print(f"{'':12}{'wall s':>9}{'CPU s':>9}  load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for step in steps:
        told = step.said
        more = (
            f"{told['records']:,} records"
            if step.name == "record"
            else f"{told['events']:,} events, {told['triggers']:,} triggers, {told['rungs']}, {told['misses']} misses"
            if "triggers" in told
            else f"overlap {told['agreement']['overlap']}, same slates {told['agreement']['same']:,}"
        )
        print(f"{step.name:12}{step.wall:9.1f}{step.cpu:9.1f}  {more}")
    wall, cpu = sum(step.wall for step in steps), sum(step.cpu for step in steps)
    print(f"{'all':12}{wall:9.1f}{cpu:9.1f}  the bar is {BAR_S} s")
    if asked.json is not None:
        asked.json.write_text(json.dumps([step._asdict() for step in steps]))


if __name__ == "__main__":
    main()
