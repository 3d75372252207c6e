"""What a scraper costs the other shoppers: event to trigger on Apache Kafka, with and without one hot user.

    python -m bench.hot_user [--rate 1000] [--scraper-rate 10000] [--seconds 30] [--runs 3] [--json FILE]

Shopping of the Complete Journey data set is played at a steady rate to one gate worker with default settings; then it
goes on and, from a process of its own, one more user views 10,000 items a second, all under the one key and so on one
partition. Columns, in milliseconds, from the timestamp of an event's record to the broker's time of its trigger: for
the other shoppers of the scraper's partition, and for those of the other partitions. ``waiting`` is what was read and
not applied yet, its median in the first and in the last third; ``behind`` how long after the last event all was
applied. At the end, everything sent must have been received, the accounting must balance and nothing may be dead.
Ends with 1 where that does not hold, or the scraper more than doubles the p99 of the others (medians of the runs).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.live import Scene, Watch, machine, percentile, shopping
from bench.recovery import ROOT
from stream.outbox import Outbox, partition_of
from stream.settings import KafkaSettings

SCRAPER = "scraper"
WARM_UP_S = 5.0
MOST_TIMES = 2.0
_STEP_S = 0.02


async def scrape(brokers: str, rate: float, seconds: float) -> None:
    """Send the scraper's views; print how many."""
    kafka = KafkaSettings(brokers=brokers)
    topic, place = kafka.topic_of("view"), partition_of(SCRAPER, kafka.partitions)
    if topic is None:
        raise SystemExit("no topic takes views")
    dice, key = random.Random(1), SCRAPER.encode()
    outbox = Outbox(kafka, "bench-scraper")
    await outbox.start()
    began, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        now, due = time.time_ns() // 1_000_000, int(passed * rate)
        views = (
            {
                "event_id": f"scrape-{began}-{number}",
                "user_id": SCRAPER,
                "type": "view",
                "ts": now,
                "item_id": str(dice.randrange(20_000)),
                "scene": "detail",
            }
            for number in range(sent, due)
        )
        await outbox.send_all(topic, place, [(key, msgspec.json.encode(view)) for view in views])
        sent = due
        await asyncio.sleep(_STEP_S)
    await outbox.flush()
    await outbox.stop()
    print(sent, time.perf_counter() - began)


async def phase(
    scene: Scene, events: list[dict[str, Any]], options: argparse.Namespace, *, scraped: bool
) -> dict[str, Any]:
    """Play with or without the scraper, and measure."""
    watch = Watch()
    watching = asyncio.create_task(watch.follow(scene.worker))
    scraper: asyncio.subprocess.Process | None = None
    if scraped:
        scraper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.hot_user", "--scrape", scene.kafka.brokers),
            *("--scraper-rate", str(options.scraper_rate), "--seconds", str(options.seconds + WARM_UP_S)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
    before = await scene.drained(0)
    began, ended, sent = await scene.play(events, options.rate)
    hot, hot_seconds = 0, 1.0
    if scraper is not None:
        out = (await scraper.communicate())[0].split()
        hot, hot_seconds = int(out[0]), float(out[1])
    quiet_at = time.time()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    # Where the scraper was quick to start, some of its views were received before they were counted here.
    end = await scene.drained(sent + hot + (before["accounting"]["received"] if not scraped else 0))
    samples = [s for s in await scene.samples(began + WARM_UP_S, ended) if s.user != SCRAPER]
    place, third = partition_of(SCRAPER, scene.kafka.partitions), max(1, len(watch.waiting) // 3)
    late = {
        "its": [s.late_ms for s in samples if s.partition == place],
        "others": [s.late_ms for s in samples if s.partition != place],
    }
    return {
        "sent": sent,
        "reached": sent / (ended - began),
        "hot": hot,
        "hot_reached": hot / hot_seconds,
        "triggers": {name: len(values) for name, values in late.items()},
        "late_ms": {
            name: {str(share): percentile(values, share) for share in (50, 95, 99, 100)}
            for name, values in late.items()
        },
        "waiting": [statistics.median(part) for part in (watch.waiting[:third], watch.waiting[-third:])],
        "behind_s": time.time() - quiet_at,
        "cpu_share": watch.cpu_s / watch.seconds,
        "rss_mb": watch.rss_mb,
        "load": [min(watch.load), max(watch.load)],
        "accounting": end["accounting"],
        "balanced": end["balanced"],
    }


def run(events: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """A quiet phase and a scraped one, on servers and a worker of their own."""
    half = len(events) // 2
    with Scene() as scene:
        quiet = asyncio.run(phase(scene, events[:half], options, scraped=False))
        scraped = asyncio.run(phase(scene, events[half:], options, scraped=True))
    counts, sent = scraped["accounting"], quiet["sent"] + scraped["sent"] + scraped["hot"]
    if counts["received"] != sent or not scraped["balanced"] or counts["dead"]:
        raise SystemExit(f"{sent:,} events were sent, and the worker counted {counts}")
    return {"without": quiet, "with": scraped}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second of all other shoppers")
    parser.add_argument(
        "--scraper-rate", type=float, default=10_000.0, help="events per second of the scraper"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="counted seconds of each phase")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--scrape", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scrape:
        asyncio.run(scrape(options.scrape, options.scraper_rate, options.seconds))
        return 0
    events = shopping(int(2 * options.rate * (options.seconds + WARM_UP_S)))
    print(machine())
    print(f"{options.rate:,.0f} events/s of shoppers, then with {options.scraper_rate:,.0f} of a scraper besides\n")  # fmt: skip
    columns = ("p50", "p99", "max", "others p50", "p99", "max")
    print(
        f"{'run':>4} {'scraper/s':>10}"
        + "".join(f"{name:>11}" for name in columns)
        + f"{'waiting':>12}{'behind s':>10}{'CPU':>6}{'RSS MiB':>9}{'limited':>10}{'load':>11}"
    )
    runs = []
    for number in range(options.runs):
        runs.append(run(events, options))
        for result in runs[-1].values():
            figures = [
                result["late_ms"][who][share] for who in ("its", "others") for share in ("50", "99", "100")
            ]
            waiting = "{:.0f} {:.0f}".format(*result["waiting"])
            print(
                f"{number + 1:>4} {result['hot_reached']:>10,.0f}"
                + "".join(f"{figure:>11.0f}" for figure in figures)
                + f"{waiting:>12}{result['behind_s']:>10.1f}{result['cpu_share']:>6.0%}{result['rss_mb']:>9.0f}"
                + f"{result['accounting']['limited']:>10,}{result['load'][0]:>6.1f}-{result['load'][1]:.1f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"options": vars(options), "runs": runs}, default=str, indent=1))
    good = True
    print()
    for who, name in (("its", "of its partition"), ("others", "of the other partitions")):
        p99 = [
            statistics.median(r[phase]["late_ms"][who]["99"] for r in runs) for phase in ("without", "with")
        ]
        times = p99[1] / p99[0]
        print(f"p99 of the shoppers {name}: {p99[0]:.0f} ms without, {p99[1]:.0f} ms with, {times:.1f} times")
        good = good and times <= MOST_TIMES
    print("all received, the accounting balances, nothing is dead")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
