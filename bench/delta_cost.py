"""What changes cost a query: whole recalls of five real queries over a build, with and without a delta beside it.

The build and the changes have the vectors of `bench.million_titles`; queries are encoded by the packaged MiniLM in every
call. A recall with changes and one without are measured by turns, in CPU time of the process, on one thread. `mixed` is a fifth upserts of new
titles, half prices, a fifth out of stock, a tenth removals; `upserts` are all of new titles, the worst there is.

    python -m bench.delta_cost --vectors DIR [--items 100000] [--changes 0 1000 10000 50000] [--rounds 150]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.million_titles import load
from index import Item, Query, Recall, RecallRequest, SentenceTransformerEncoder, build_catalog
from index.built.embeddings import NumberedVectors
from index.living import LivingRecall, Price, Remove, Stock, Upsert
from index.nearest.choice import IndexChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Vectors
    from index.living import Change


class Known:
    """The packaged encoder, which is handed the vectors of the made titles."""

    def __init__(self, vectors: Vectors) -> None:
        self.inner = SentenceTransformerEncoder(threads=1)
        self.name, self.dimensions = self.inner.name, self.inner.dimensions
        self.fingerprint = self.inner.fingerprint
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As the encoder's; ``made NUMBER`` has the vector of that number."""
        if texts and texts[0].startswith("made "):
            return np.stack([self._vectors[int(text[5:])] for text in texts])
        return self.inner.encode(texts)


def main() -> None:
    """Build, change, measure, print."""
    options = _options()
    vectors, _, _ = load(options.vectors)
    asked = (options.vectors / "queries.txt").read_text(encoding="utf-8").splitlines()
    encoder = Known(vectors)
    choice = IndexChoice(factory=options.type, breadth=options.breadth) if options.type else None
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "items.jsonl"
        with source.open("w") as out:
            for n in range(options.items):
                out.write(json.dumps({"item_id": f"i{n}", "title": f"made {n}", "price": n % 90}) + "\n")
        numbers = {f"made {n}": n for n in range(options.items)}
        began = time.perf_counter()
        build_catalog(
            source,
            Path(scratch) / "catalog",
            encoder,
            known=NumberedVectors((numbers, vectors)),
            choice=choice,
            threads=options.threads,
        )
        built_s = time.perf_counter() - began
        began = time.perf_counter()
        base = Recall.open(Path(scratch) / "catalog", encoder)
        base.recall([_request(asked, random.Random(1))])
        opened_s = time.perf_counter() - began
        print(
            f"{options.items:,} items, {base.vectors.choice.factory}, built in {built_s:.0f} s, opened and first answer in"
            f" {opened_s:.2f} s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(
            f"{'changes':18}{'applied in s':>13}{'without, ms':>13}{'with, ms':>10}{'ratio':>8}{'search':>9}{'with':>8}   CPU ms at p50; five queries, whole recall and search alone"
        )
        for kind in ("mixed", "upserts"):
            for count in options.changes:
                _row(kind, count, base, len(vectors), asked, options)


def _row(
    kind: str,
    count: int,
    base: Recall,
    vectors: int,
    asked: list[str],
    options: argparse.Namespace,
) -> None:
    living = LivingRecall(base)
    changes = _changes(kind, count, options.items, vectors, random.Random(7))
    began = time.perf_counter()
    for start in range(0, count, 256):
        living.apply(changes[start : start + 256])
        living.settle()
    applied = time.perf_counter() - began
    dice = random.Random(3)
    whole: tuple[list[float], list[float]] = ([], [])
    search: tuple[list[float], list[float]] = ([], [])
    for turn in range(options.rounds):
        request = _request(asked, dice)
        vectors_of = base.encoder.encode([query.text for query in request.queries])
        for which, recall in ((0, base), (1, living.now)) if turn % 2 else ((1, living.now), (0, base)):
            began_cpu = time.process_time()
            result = recall.recall([request])
            whole[which].append((time.process_time() - began_cpu) * 1e3)
            began_cpu = time.process_time()
            recall.vectors.search(vectors_of, 100)
            search[which].append((time.process_time() - began_cpu) * 1e3)
            if len(result.candidates[0]) != 50:
                raise SystemExit("A request was answered with a short list.")
    plain, changed = (float(np.median(one)) for one in whole)
    bare, beside = (float(np.median(one)) for one in search)
    print(
        f"{count:8,} {kind:9}{applied:13.1f}{plain:13.2f}{changed:10.2f}{changed / plain:8.3f}{bare:9.2f}{beside:8.2f}",
        flush=True,
    )


def _changes(kind: str, count: int, items: int, vectors: int, dice: random.Random) -> list[Change]:
    made: list[Change] = []
    new = items
    for _ in range(count):
        draw = 0.0 if kind == "upserts" else dice.random()
        item_id = f"i{dice.randrange(items)}"
        if draw < 0.2:
            made.append(
                Upsert(Item.model_construct(item_id=f"n{new}", title=f"made {new % vectors}", attributes={}))
            )
            new += 1
        elif draw < 0.7:
            made.append(Price(item_id, round(dice.uniform(1, 90), 2)))
        elif draw < 0.9:
            made.append(Stock(item_id, in_stock=False))
        else:
            made.append(Remove(item_id))
    return made


def _request(asked: list[str], dice: random.Random) -> RecallRequest:
    return RecallRequest(tuple(Query(text) for text in dice.sample(asked, 5)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--changes", type=int, nargs="*", default=[0, 1_000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--type", default="", help="type of index, by size if not given")
    parser.add_argument("--breadth", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
