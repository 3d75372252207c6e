"""How long recall takes: everything between the language model and the slate.

Builds a catalogue of real titles with the packaged MiniLM and times, over real queries of one to five words, single
requests of five demands, which tell what is for the record, and batches of requests, which do not; each with twenty acts and
three categories, and behaviour weights of made-up strength if ``--behaviour`` is given. But for the first row the demands'
vectors are there already. Prints a table in milliseconds, of the clock and of the thread's CPU.

    python -m bench.recall_latency [--items FILE] [--catalog DIR] [--rounds 200] [--batch 64] [--threads 1] [--behaviour]

FILE is a catalogue with Icecat's column names; by default the one in ../shared/data beside the checkout. DIR keeps
the built catalogue for the next run.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index import (
    CachedEncoder,
    Columns,
    Query,
    Recall,
    RecallRequest,
    SentenceTransformerEncoder,
    build_catalog,
    is_current,
)
from index.channels.behaviour import Neighbours
from index.recall import Act

if TYPE_CHECKING:
    from index import Catalog, RecallResult

ICECAT = Path(__file__).resolve().parents[2] / "shared" / "data" / "icecat" / "products.jsonl.gz"
COLUMNS = Columns(item_id="id", brand="supplier", category="attr_t_product_type")


def main() -> None:
    """Build or reuse the catalogue, time recall, print the table."""
    options = _options()
    if not options.items.is_file():
        raise SystemExit(f"There is no {options.items}; name a catalogue with --items.")
    started = time.perf_counter()
    encoder = SentenceTransformerEncoder(threads=options.threads)
    loaded = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as scratch:
        out = options.catalog or Path(scratch) / "catalog"
        if not is_current(out, options.items, encoder.fingerprint, columns=COLUMNS):
            report = build_catalog(options.items, out, encoder, columns=COLUMNS, progress=_tell)
            rate = report.manifest.texts / report.seconds["encode"]
            print(
                f"\nbuilt {report.manifest.items} items, {report.manifest.rejected} rejected; {rate:.0f} texts/s"
            )
        started = time.perf_counter()
        recall = Recall.open(out, encoder)
        if options.behaviour:
            recall = _with_behaviour(recall)
        opened = time.perf_counter() - started
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(
            f"{len(recall.catalog)} items, {len(recall.vectors)} texts, {recall.vectors.kind} index, {options.threads} thread(s)"
        )
        print(f"encoder loaded in {loaded:.1f} s, catalogue opened in {opened * 1e3:.0f} ms\n")
        _measure(recall, options.rounds, options.batch)


def _measure(recall: Recall, rounds: int, batch: int) -> None:
    dice = random.Random(7)
    print(
        f"{'ms':46}{'p50':>9}{'p95':>9}{'p99':>9}{'CPU p50':>10}{'CPU p99':>9}{'CPU/request':>13}"
        "   encode / search / the rest (p50)"
    )
    cached = Recall(
        recall.catalog, CachedEncoder(recall.encoder, 100_000), recall.vectors, beside=recall.beside
    )
    few = max(rounds // 8, 10)
    for label, users, count, encoded, known, record in (
        ("1 request of 5 new demands and the encoder", 1, few, False, False, True),
        ("1 request of 5 new demands", 1, rounds, True, False, True),
        ("1 request of 5 demands asked before", 1, rounds, True, True, True),
        (f"{batch} requests of 5 new demands", batch, few, True, False, False),
        (f"{batch} requests of 5 demands asked before", batch, few, True, True, False),
    ):
        times: list[float] = []
        spent: list[float] = []
        parts: list[RecallResult] = []
        for _ in range(count + 1):
            requests = [_request(recall.catalog, dice) for _ in range(users)]
            if encoded:
                cached.encoder.encode([query.text for one in requests for query in one.queries])
            if known:
                cached.recall(requests, record=record)
            started, began = time.perf_counter(), time.thread_time()
            parts.append(cached.recall(requests, record=record))
            times.append((time.perf_counter() - started) * 1e3)
            spent.append((time.thread_time() - began) * 1e3)
            if any(len(found) != 50 for found in parts[-1].candidates):
                raise SystemExit("A request was answered with a short list.")
        # The first call reads what was not read before.
        p50, p95, p99 = np.percentile(times[1:], [50, 95, 99])
        cpu50, cpu99 = np.percentile(spent[1:], [50, 99])
        stages = [
            np.median([getattr(part, name) for part in parts])
            for name in ("encode_ms", "search_ms", "fuse_ms")
        ]
        print(
            f"{label:46}{p50:9.1f}{p95:9.1f}{p99:9.1f}{cpu50:10.1f}{cpu99:9.1f}{cpu50 / users:13.2f}   "
            + " / ".join(f"{one:.1f}" for one in stages),
            flush=True,
        )


def _request(catalog: Catalog, dice: random.Random) -> RecallRequest:
    """Five queries of one to five words from random titles, with some items left out."""
    queries = []
    for _ in range(5):
        words = catalog.title(dice.randrange(len(catalog))).split()
        at = dice.randrange(max(len(words) - 4, 1))
        queries.append(Query(" ".join(words[at : at + dice.randint(2, 5)]).lower(), dice.uniform(0.2, 1.0)))
    return RecallRequest(
        tuple(queries),
        frozenset(_some(catalog, dice, 20)),
        tuple(dice.sample(catalog.categories, min(3, len(catalog.categories)))),
        acts=tuple(Act(item, 1 / place) for place, item in enumerate(_some(catalog, dice, 20), 1)),
        user=str(dice.random()),
    )


def _some(catalog: Catalog, dice: random.Random, count: int) -> list[str]:
    return [catalog.item_id(row) for row in dice.sample(range(len(catalog)), count)]


def _with_behaviour(recall: Recall) -> Recall:
    """The same with two hundred partners of every item, drawn by chance: for the time that they take."""
    items = len(recall.catalog)
    chance = np.random.default_rng(0)
    neighbours = Neighbours(
        "made up",
        chance.integers(0, items, (items, 200), dtype=np.int32),
        chance.random((items, 200), dtype=np.float32) ** 4,
        None,
    )
    ids = tuple(recall.catalog.item_id(row) for row in range(items))
    beside = replace(recall.beside, neighbours=(neighbours, ids))
    return Recall(recall.catalog, recall.encoder, recall.vectors, beside=beside)


def _tell(stage: str, done: int, total: int | None) -> None:
    print(f"\r{stage} {done}" + (f" of {total}" if total else ""), end="   ", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=Path, default=ICECAT)
    parser.add_argument("--catalog", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--behaviour", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
