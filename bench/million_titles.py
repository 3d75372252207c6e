"""A million vectors like those of product titles, and queries in words, from the shops' real titles.

What is encoded by the packaged MiniLM: real titles of Icecat (their first 90 characters), The Complete Journey and Online
Retail, none of the held-out twentieth, and recombined titles (the head of one title with the tail of another of its category). What is made in vector
space, up to the number asked for: a title's vector plus the difference between a real title and its recombination in
the same category, brought to length 1. So the made vectors are moved as a change of words moves them; how far is
printed beside how far the recombined titles are from theirs.

Queries are Icecat's judged queries and two to five words in a row from held-out titles, none of which is in the
index; they are all encoded.

    python -m bench.million_titles --out DIR [--real 22000] [--recombined 12000] [--items 1000000]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from index import SentenceTransformerEncoder
from index.encoders.encoder import unit_rows
from index.items.titles import embedding_text
from stream.datasets import open_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Encoder, Vectors

__all__ = ["load", "make"]

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
_HELD_OUT: Final = 20
_CHUNK: Final = 512
_CHARS: Final = 90


def real_titles() -> list[tuple[str, str]]:
    """The different texts of the three shops, with its category."""
    found: dict[str, str] = {}
    with gzip.open(DATA / "icecat" / "products.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            kind = row.get("attr_t_product_type") or "electronics"
            found.setdefault(
                embedding_text(row["title"][:_CHARS], None, row.get("supplier")), f"icecat {kind}"
            )
    shops = [open_dataset("completejourney")]
    shops += [
        open_dataset("online-retail", file=path) for path in sorted(DATA.glob("online_retail/*.csv.gz"))[:1]
    ]
    for shop in shops:
        for row in shop.catalog():
            text = embedding_text(row["title"], row["category"], row.get("brand"))
            found.setdefault(text, f"{shop.name} {row['category']}")
    return list(found.items())


def recombined(
    titles: Sequence[tuple[str, str]], count: int, dice: random.Random
) -> tuple[list[str], list[int]]:
    """``count`` titles made of a head and a tail of the same category, and the number of the head's title."""
    by_category: dict[str, list[int]] = defaultdict(list)
    for at, (_, category) in enumerate(titles):
        by_category[category].append(at)
    made: dict[str, int] = {}
    while len(made) < count:
        at = dice.randrange(len(titles))
        other = dice.choice(by_category[titles[at][1]])
        head, tail = titles[at][0].split(), titles[other][0].split()
        cut = dice.uniform(0.3, 0.8)
        text = " ".join([*head[: max(1, round(len(head) * cut))], *tail[round(len(tail) * cut) :]])
        if other != at and text != titles[at][0]:
            made.setdefault(text, at)
    return list(made), list(made.values())


def queries_of(held_out: Sequence[str], dice: random.Random) -> list[str]:
    """Icecat's judged queries, and as many words in a row from each held-out title as shoppers type."""
    with (DATA / "icecat" / "judgments.csv").open(newline="") as rows:
        asked = list(dict.fromkeys(row["query"] for row in csv.DictReader(rows)))
    for title in held_out:
        words = title.lower().replace(",", "").split()
        at = dice.randrange(max(len(words) - 4, 1))
        asked.append(" ".join(words[at : at + dice.randint(2, 5)]))
    return list(dict.fromkeys(asked))


def encode(texts: Sequence[str], encoder: Encoder, what: str) -> Vectors:
    """(n, d) unit vectors, with progress; long texts first, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    vectors = np.empty((len(texts), encoder.dimensions), np.float32)
    began = time.perf_counter()
    for start in range(0, len(order), _CHUNK):
        part = order[start : start + _CHUNK]
        vectors[part] = encoder.encode([texts[at] for at in part])
        print(f"\r{what}: {min(start + _CHUNK, len(order))} of {len(order)}", end="", flush=True)
    print(f" in {time.perf_counter() - began:.0f} s", flush=True)
    return vectors


def extend(
    vectors: Vectors, group: np.ndarray, base: Vectors, moved: Vectors, moved_group: np.ndarray, items: int
) -> Vectors:
    """Up to ``items`` vectors: the given (n, d), then titles moved as recombination moves a title of their category."""
    rng = np.random.default_rng(11)
    by_group = {int(g): np.flatnonzero(moved_group == g) for g in np.unique(moved_group)}
    out = np.empty((items, vectors.shape[1]), np.float32)
    out[: len(vectors)] = vectors
    everywhere = np.arange(len(moved))
    for start in range(len(vectors), items, 50_000):
        chosen = rng.integers(0, len(vectors), min(50_000, items - start))
        by = np.array([rng.choice(by_group.get(int(group[at]), everywhere)) for at in chosen])
        out[start : start + len(chosen)] = unit_rows(vectors[chosen] + moved[by] - base[by])
    return out


def make(out: Path, whole: int, made: int, items: int) -> None:
    """Write ``texts.npy`` (encoded), ``vectors.npy`` (all), ``queries.npy`` and the texts of both into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    dice = random.Random(3)
    titles = real_titles()
    dice.shuffle(titles)
    held = len(titles) // _HELD_OUT
    kept, held_out = titles[held : held + whole], titles[:held]
    print(f"{len(titles)} real titles, {len(held_out)} of them held out", flush=True)
    texts, heads = recombined(kept, made, dice)
    asked = queries_of([title for title, _ in held_out[:880]], dice)
    encoder = SentenceTransformerEncoder(threads=1)
    np.save(out / "queries.npy", encode(asked, encoder, "queries"))
    (out / "queries.txt").write_text("\n".join(asked) + "\n", encoding="utf-8")
    real, moved = np.split(_encoded(out, [*(title for title, _ in kept), *texts], encoder), [len(kept)])
    names = {category: at for at, category in enumerate(dict.fromkeys(category for _, category in kept))}
    real_group = np.array([names[category] for _, category in kept])
    both = np.concatenate([real, moved])
    group = np.concatenate([real_group, real_group[heads]])
    vectors = extend(both, group, real[heads], moved, real_group[heads], items)
    np.save(out / "vectors.npy", vectors)
    near = (real[heads] * moved).sum(axis=1)
    print(
        f"{len(both)} encoded, {items - len(both)} made; cosine of a recombined title to its own"
        f" p10/p50/p90 {np.percentile(near, [10, 50, 90]).round(3).tolist()}"
    )


def _encoded(out: Path, texts: Sequence[str], encoder: Encoder) -> Vectors:
    """The vectors of the texts, kept in ``out`` beside the texts: a larger set of the same texts encodes nothing again."""
    named = out / "texts.txt"
    content = "\n".join(texts) + "\n"
    if named.is_file() and named.read_text(encoding="utf-8") == content:
        known: Vectors = np.load(out / "texts.npy")
        return known
    vectors = encode(texts, encoder, "titles")
    np.save(out / "texts.npy", vectors)
    named.write_text(content, encoding="utf-8")
    return vectors


def load(folder: Path) -> tuple[Vectors, Vectors, Vectors]:
    """Vectors (n, d), those of them that are encoded titles (m, d), and the queries' (q, d)."""
    return (
        np.load(folder / "vectors.npy", mmap_mode="r"),
        np.load(folder / "texts.npy", mmap_mode="r"),
        np.load(folder / "queries.npy"),
    )


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=int, default=22_000)
    parser.add_argument("--recombined", type=int, default=12_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    make(options.out, options.real, options.recombined, options.items)


if __name__ == "__main__":
    main()
