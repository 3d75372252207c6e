"""How far a year of purchases is compressed, and how long it takes.

    python -m bench.compression --online-retail FILE [--households 500] [--tokens 320] [--examples 2]

The raw year is one row per order line (date, title, quantity, amount). Both sides are counted with the
tokenizer of the packaged Gemma 3 270M, or of ``--tokenizer``. Shoppers of UCI Online Retail are those
with at least five invoice days, of The Complete Journey a seeded sample of all households that have as many.
Time is CPU time on one core, purchases in memory, nothing remembered from earlier shoppers.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from agents.compression import CompressionSettings, Compressor
from agents.factors import Described, Lexicon, mine
from agents.history import DAY_MS, Purchase, weeks_of
from agents.runtime.weights import locate
from agents.settings import LocalSettings
from agents.token_count import counter, estimate
from stream.datasets import CompleteJourney, OnlineRetail

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.datasets.shop import OrderShop

_SEED = 7


@dataclass
class Shop:
    """A shop's lexicon and its active shoppers' purchases."""

    name: str
    lexicon: Lexicon
    mined_s: float
    shoppers: dict[str, list[Purchase]]
    moment: int


def read(shop: OrderShop, days: int, most: int | None) -> Shop:
    """The shoppers of ``shop`` with purchases on ``days`` days, at most ``most`` of them."""
    items = {row["item_id"]: row for row in shop.catalog()}
    began = time.process_time()
    lexicon = mine(Described(row["title"], row["category"], row["brand"] or "") for row in items.values())
    mined_s = time.process_time() - began
    shoppers: dict[str, list[Purchase]] = {}
    for basket in shop.baskets():
        for line in basket.lines:
            row = items.get(line.item_id)
            if row is not None:
                bought = Purchase(
                    line.ts,
                    row["title"],
                    row["category"],
                    line.quantity,
                    line.amount,
                    line.item_id,
                    row["brand"] or "",
                )
                shoppers.setdefault(basket.user_id, []).append(bought)
    active = {user: lines for user, lines in shoppers.items() if len({p.ts // DAY_MS for p in lines}) >= days}
    moment = max(line.ts for lines in active.values() for line in lines) + 1
    if most is not None and len(active) > most:
        chosen = random.Random(_SEED).sample(sorted(active), most)
        active = {user: active[user] for user in chosen}
    return Shop(shop.name, lexicon, mined_s, active, moment)


def raw(lines: list[Purchase]) -> str:
    """The history uncompressed: a row for each order line."""
    return "\n".join(
        f"{datetime.fromtimestamp(p.ts / 1000, UTC):%Y-%m-%d},{p.title},{p.quantity},{p.amount:.2f}"
        for p in lines
    )


def _spread(numbers: list[float]) -> str:
    tenths = quantiles(numbers, n=10)
    return f"{median(numbers):>9,.1f} {tenths[0]:>9,.1f} {tenths[-1]:>9,.1f}"


def measure(shop: Shop, settings: CompressionSettings, count: Callable[[str], int], examples: int) -> None:
    """Print what the shoppers of a shop come to."""
    compressor = Compressor(shop.lexicon, settings, count=count)
    began = time.process_time()
    made = {user: compressor.purchases(lines, shop.moment) for user, lines in shop.shoppers.items()}
    spent = time.process_time() - began
    began = time.process_time()
    fast = Compressor(shop.lexicon, settings)
    for lines in shop.shoppers.values():
        fast.purchases(lines, shop.moment)
    estimated = time.process_time() - began
    began = time.process_time()
    for lines in shop.shoppers.values():
        weeks_of(lines, shop.lexicon)
    folded = time.process_time() - began
    people = len(shop.shoppers)
    print(
        f"\n{shop.name}: {people} shoppers, lexicon of {len(shop.lexicon)} factors mined in {shop.mined_s:.1f} s"
    )
    print(f"{'':<28} {'median':>9} {'p10':>9} {'p90':>9}")
    raws = {user: count(raw(lines)) for user, lines in shop.shoppers.items()}
    print(f"{'order lines':<28} {_spread([float(len(lines)) for lines in shop.shoppers.values()])}")
    print(f"{'tokens raw':<28} {_spread([float(size) for size in raws.values()])}")
    print(f"{'tokens compressed':<28} {_spread([float(one.tokens) for one in made.values()])}")
    ratios = [raws[user] / one.tokens for user, one in made.items()]
    print(f"{'times fewer':<28} {_spread(ratios)}")
    print(f"{'lines':<28} {_spread([float(len(one.lines)) for one in made.values()])}")
    print(f"{'factor values shown':<28} {_spread([float(len(one.factors())) for one in made.values()])}")
    print(f"{'factor values left out':<28} {_spread([float(one.left_out) for one in made.values()])}")
    off = [estimate(one.text) / one.tokens for one in made.values()]
    print(f"{'estimate / tokens':<28} {_spread([100 * part for part in off])}  per cent")
    print(
        f"CPU s per 1,000 shoppers: {spent / people * 1000:.2f} with the tokenizer, "
        f"{estimated / people * 1000:.2f} with the estimate, {folded / people * 1000:.2f} adding up weeks alone"
    )
    middle = sorted(made, key=lambda user: (len(shop.shoppers[user]), user))
    for user in middle[len(middle) // 2 : len(middle) // 2 + examples]:
        print(f"\n{len(shop.shoppers[user])} order lines, {raws[user]} -> {made[user].tokens} tokens")
        print(made[user].text)


def main() -> None:
    """Read the shops and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--online-retail", type=Path, help="CSV file of UCI Online Retail; left out without")
    parser.add_argument(
        "--households", type=int, default=500, help="of The Complete Journey; 0 leaves it out"
    )
    parser.add_argument("--days", type=int, default=5, help="days with a purchase that make a shopper active")
    parser.add_argument("--tokens", type=int, default=CompressionSettings().tokens)
    parser.add_argument("--tokens-per-act", type=float, default=CompressionSettings().tokens_per_act)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json in place of the packaged Gemma's")
    parser.add_argument("--examples", type=int, default=1, help="print so many middle shoppers of each shop")
    given = parser.parse_args()
    count = counter(given.tokenizer or locate(LocalSettings()) / "tokenizer.json")
    settings = CompressionSettings(tokens=given.tokens, tokens_per_act=given.tokens_per_act)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    )
    if given.online_retail:
        measure(read(OnlineRetail(given.online_retail), given.days, None), settings, count, given.examples)
    if given.households:
        measure(read(CompleteJourney(), given.days, given.households), settings, count, given.examples)


if __name__ == "__main__":
    main()
