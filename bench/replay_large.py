"""How much memory a replay takes of a capture that is larger than memory: none for the events, whatever their number.

    python -m bench.replay_large [--events 20000000] [--memory-mb 256] [--rules FILE] [--dir DIR] [--json FILE]

The capture is synthetic and written as `nearline record` writes it. Shoppers come and go: each has some fifty events, most
of them within hours and some after days, so there are ever more of them and about the same number at any time. A replay to the triggers
is then measured in a process of its own: resident memory (RSS) every second, the peak that the system saw, CPU seconds.
``--dir`` keeps the capture, and one that is there already, of the same size, is not written again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.synthetic_capture import START, write_capture
from stream.replay.capture import Capture, Record
from stream.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTITIONS = 8
ITEMS = 20_000
EVENTS_EACH = 50
AT_A_TIME = 2_000
"""How many shoppers are newer, on average, than the one who acts."""
RETURNING = 60_000
"""The same for a tenth of the events: of shoppers who return after having been away."""
KINDS = ("view",) * 12 + ("click",) * 4 + ("search",) * 2 + ("cart",) + ("order",)
HORIZON_MS = 50
SCALE = 2**20

_REPLAY = """
import asyncio, json, resource, sys, time
from pathlib import Path
from agents.settings import AgentSettings
from index.settings import IndexSettings
from stream.replay.replaying import Setup, Wish, replay
from stream.settings import StreamSettings

capture, run, memory, rules = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
stream = StreamSettings()
stream = stream.model_copy(update={"gate": stream.gate.model_copy(update={"max_memory_mb": memory})})
setup = Setup(stream, AgentSettings(), IndexSettings(catalog=run.parent / "no catalogue"))
cpu = time.process_time()
done = asyncio.run(replay(setup, Wish(capture, run, Path(rules) if rules else None, slates=False)))
print(json.dumps({
    "events": done.events,
    "triggers": done.triggers,
    "hash": done.hashes.all,
    "cpu_s": time.process_time() - cpu,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def events(count: int) -> Iterator[tuple[str, int, Record]]:
    """Topic, partition and record of each event, without its offset. The same for the same number."""
    dice = random.Random(11)
    draw, pick = dice.random, dice.expovariate
    topics = [str(KafkaSettings().topic_of(kind)) for kind in KINDS]
    for number in range(count):
        at = START + number * HORIZON_MS
        away = RETURNING if draw() < 0.1 else AT_A_TIME
        user = max(0, number // EVENTS_EACH - int(pick(1 / away)))
        kind = int(draw() * len(KINDS))
        name = KINDS[kind]
        # A shopper stays near the items of a taste of their own.
        item = (user * 7919 + int(draw() ** 2 * 200)) % ITEMS
        what = (
            f'"query":"brass lamp {item % 97}"'
            if name == "search"
            else f'"item_id":"{item}","quantity":1,"amount":12.5'
            if name == "order"
            else f'"item_id":"{item}","session_id":"s{user}-{number // 1_000_000}"'
        )
        value = f'{{"event_id":"{number:x}-{user:x}","user_id":"u{user}","type":"{name}","ts":{at},{what}}}'
        yield topics[kind], user % PARTITIONS, Record(0, at, b"u%d" % user, value.encode())


def write(folder: Path, count: int) -> float:
    """Write the capture; return the CPU seconds."""
    cpu = time.process_time()
    write_capture(folder, events(count))
    return time.process_time() - cpu


def replayed(folder: Path, memory_mb: float, rules: str, told: Callable[[str], None]) -> dict[str, Any]:
    """A replay in a process of its own, with its memory every second."""
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", _REPLAY, str(folder), f"{runs}/run", str(memory_mb), rules],
            stdout=subprocess.PIPE,
            text=True,
        )
        curve: list[tuple[float, float]] = []
        done = threading.Event()

        def watch() -> None:
            seen = psutil.Process(process.pid)
            while not done.wait(1.0):
                try:
                    curve.append((time.perf_counter() - began, seen.memory_info().rss / 2**20))
                except psutil.NoSuchProcess:
                    return
                if len(curve) % 60 == 0:
                    told(f"  {curve[-1][0]:6.0f} s  {curve[-1][1]:6.0f} MiB")

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            out, _ = process.communicate()
        finally:
            done.set()
            watching.join()
        if process.returncode:
            raise SystemExit(f"The replay of {folder} failed; what it said stands above.")
    return {**json.loads(out), "wall_s": time.perf_counter() - began, "curve": curve}


def main() -> None:
    """Write, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument(
        "--memory-mb", type=float, default=256, help="what shoppers may take (stream.gate.max_memory_mb)"
    )
    parser.add_argument("--rules", default="", help="rules file; the packaged rules if not given")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = (asked.dir or Path(aside)) / f"events-{asked.events}"
        wrote = 0.0
        if not (folder / "manifest.json").exists() or not Capture(folder, partial=True).manifest.complete:
            wrote = write(folder, asked.events)
            print(f"written in {wrote:.0f} CPU s", flush=True)
        capture = Capture(folder)
        on_disk = sum(one.bytes for part in capture.manifest.parts for one in part.segments)
        found = replayed(folder, asked.memory_mb, asked.rules, lambda line: print(line, flush=True))
    found |= {"on_disk_mib": on_disk / SCALE, "write_cpu_s": wrote, "memory_mb": asked.memory_mb}
    curve = found["curve"]
    halves = curve[len(curve) // 10 : len(curve) // 2], curve[len(curve) // 2 :]
    found["most_mib"] = [round(max((rss for _, rss in half), default=0.0)) for half in halves]
    print(
        f"{found['events']:,} events, {found['triggers']:,} triggers, {found['on_disk_mib']:,.0f} MiB on disk; "
        f"{found['cpu_s']:,.0f} CPU s ({found['events'] / found['cpu_s']:,.0f} events/CPU s), {found['wall_s']:,.0f} s"
    )
    first, second = found["most_mib"]
    print(
        f"peak RSS {found['peak_mib']:,.0f} MiB; most in the first half {first:,} MiB, in the second {second:,} MiB "
        f"(shoppers may take {asked.memory_mb:g} MiB)"
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
