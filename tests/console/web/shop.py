"""A small shop on real servers, for the page to look at: a broker, Valkey, a worker with both roles, a console.

``python -m tests.console.web.shop`` keeps one running with traffic, to look at the pages by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from index.built.build import build_catalog
from index.settings import EncoderSettings, open_encoder
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.tansu import tansu_spec
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SESSION_KEY = "the key of the sessions of the tests"
SECRETS = {"ann": "ann-operates-0123", "bob": "bob-operates-0123", "vic": "vic-looks-on-0123"}
PARTITIONS = 2
START_S = 240  # loading models takes seconds, and minutes where others have the processor

MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
TURNED = "oat \u202ekilm\u202c milk\u0007"
HOSTILE_USER = "<b onclick=alert(1)>eve</b>&\"'"
UNUSABLE_USER = "eve\u202eadam\x07"

_WORDS = {
    "Milk": ["oat drink", "whole milk", "almond drink", "buttermilk", "soy drink barista"],
    "Bread": ["rye bread", "sourdough loaf", "garlic baguette", "pita bread", "multigrain rolls"],
    "Coffee": ["espresso beans", "filter coffee", "decaf capsules", "cold brew", "moka blend"],
    "Cheese": ["goat cheese", "aged gouda", "feta block", "mozzarella balls", "brie wheel"],
    "Pasta": ["penne rigate", "egg tagliatelle", "spelt spaghetti", "gnocchi", "lasagne sheets"],
    "Fruit": ["red apples", "blueberries", "bananas", "blood oranges", "mango"],
}
_SIZES = ["organic", "family pack", "250 g", "1 l", "fair trade", "no sugar"]


def items() -> list[dict[str, Any]]:
    """The catalogue, two of its titles hostile."""
    found = []
    for category, words in _WORDS.items():
        for word in words:
            for size in _SIZES:
                number = len(found)
                found.append(
                    {"item_id": f"i{number}", "title": f"{word} {size}".capitalize(), "category": category,
                     "price": 1 + number % 9, "popularity": 200 - number}
                )  # fmt: skip
    found[3]["title"] = f"Milk {MARKUP}"
    found[4]["title"] = f"Milk {TURNED}"
    return found


def views(user: str, wanted: list[str], at: int | None = None, step_ms: int = 1000) -> list[dict[str, Any]]:
    """Detail views of these items, the last of them now."""
    at = at or int(time.time() * 1000)
    return [
        {"event_id": f"{user}-{uuid.uuid4().hex[:8]}", "user_id": user, "type": "view", "item_id": item,
         "ts": at - (len(wanted) - place) * step_ms}
        for place, item in enumerate(wanted)
    ]  # fmt: skip


def visit(user: str, dice: random.Random, catalog: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A visit: some views of a category, sometimes a search and an order."""
    category = dice.choice(list(_WORDS))
    shelf = [one for one in catalog if one["category"] == category]
    events = views(user, [dice.choice(shelf)["item_id"] for _ in range(dice.randint(2, 7))])
    now = int(time.time() * 1000)
    if dice.random() < 0.35:
        events.append(
            {"event_id": uuid.uuid4().hex, "user_id": user, "type": "search", "ts": now,
             "query": dice.choice(_WORDS[category])}
        )  # fmt: skip
    if dice.random() < 0.5:
        bought = dice.choice(shelf)
        events.append(
            {"event_id": uuid.uuid4().hex, "user_id": user, "type": "order", "ts": now, "item_id": bought["item_id"],
             "quantity": dice.randint(1, 3), "amount": float(bought["price"])}
        )  # fmt: skip
    return events


class Shop:
    """The servers, and the processes on them."""

    def __init__(self, brokers: str, redis_url: str, folder: Path) -> None:
        self.kafka = KafkaSettings(
            brokers=brokers, prefix=f"web{uuid.uuid4().hex[:8]}.", partitions=PARTITIONS
        )
        self.redis_url = redis_url
        self.prefix = f"nl-{self.kafka.prefix}"
        self.folder = folder
        self.items = items()
        self.worker_port, self.console_port = free_ports(2)
        self.worker: subprocess.Popen[bytes] | None = None
        self.console: subprocess.Popen[bytes] | None = None
        accounts = [
            {"name": name, "role": "viewer" if name == "vic" else "operator", "secret": secret}
            for name, secret in SECRETS.items()
        ]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEARLINE_")},
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "NEARLINE_STREAM__KAFKA__BROKERS": brokers,
            "NEARLINE_STREAM__KAFKA__PREFIX": self.kafka.prefix,
            "NEARLINE_STREAM__KAFKA__PARTITIONS": str(PARTITIONS),
            "NEARLINE_STREAM__REDIS__URL": redis_url,
            "NEARLINE_STREAM__REDIS__PREFIX": self.prefix,
            "NEARLINE_STREAM__WEB__PORT": str(self.worker_port),
            "NEARLINE_INDEX__CATALOG": str(folder / "catalog"),
            # Nobody listens there: every slate comes from a lower rung of the ladder, and at once.
            "NEARLINE_AGENTS__RUNTIME": "server",
            "NEARLINE_AGENTS__SERVER__URL": f"http://{LOOPBACK}:9/v1",
            "NEARLINE_AGENTS__SERVER__MODEL": "nobody",
            "NEARLINE_RUN": str(folder / "run"),
            "NEARLINE_CONSOLE__PORT": str(self.console_port),
            "NEARLINE_CONSOLE__ACCOUNTS": json.dumps(accounts),
            "NEARLINE_CONSOLE__SESSION_KEY": SESSION_KEY,
            "NEARLINE_CONSOLE__AUDIT_LOG": str(folder / "trail.jsonl"),
        }

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://{LOOPBACK}:{self.console_port}"

    def build(self) -> None:
        """The catalogue and the topics."""
        source = self.folder / "items.jsonl"
        source.write_text("\n".join(json.dumps(item) for item in self.items))
        build_catalog(source, self.folder / "catalog", open_encoder(EncoderSettings()))
        create_topics(self.kafka)

    def start_worker(self) -> None:
        """Start the worker and return when it is ready."""
        self.worker = self._spawn("worker", "worker")
        self.until(
            "the worker is ready",
            lambda: _answers(f"http://{LOOPBACK}:{self.worker_port}/health/ready"),
            START_S,
        )

    def start_console(self) -> None:
        """Start the console and return when it answers."""
        self.console = self._spawn("console", "console")
        self.until("the console answers", lambda: _answers(f"{self.url}/health"), START_S)

    def play(self, events: list[Any]) -> None:
        """Send events."""

        async def sending() -> None:
            async with Player(self.kafka) as player:
                await player.play(events)

        # In a thread: the browser's driver has an event loop running in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, sending()).result()

    def slate(self, user: str) -> dict[str, Any] | None:
        """A shopper's slate, as a storefront reads it."""
        with redis.Redis.from_url(self.redis_url) as store:
            value = store.get(f"{self.prefix}slate:{user}")
        return json.loads(value) if value else None

    def received(self) -> int:
        """Events in checkpoints."""
        with redis.Redis.from_url(self.redis_url) as store:
            values = [store.get(f"{self.prefix}offsets:{{p{number}}}") for number in range(PARTITIONS)]
        return sum(json.loads(value)["counts"]["received"] for value in values if value)

    def until(self, what: str, check: Callable[[], Any], seconds: float = 90) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not check():
            for process, name in ((self.worker, "worker"), (self.console, "console")):
                if process is not None and process.poll() is not None:
                    raise AssertionError(f"the {name} ended: {self.log(name)}")
            assert time.monotonic() < deadline, (what, self.log("worker"), self.log("console"))
            time.sleep(0.1)

    def log(self, name: str) -> str:
        """The end of a process's log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def close(self) -> None:
        """End the processes."""
        for process in (self.console, self.worker):
            if process is not None and process.poll() is None:
                process.terminate()
        for process in (self.console, self.worker):
            if process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                if process.poll() is None:
                    process.kill()

    def _spawn(self, name: str, *verb: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "console", *verb],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def first_events(catalog: list[dict[str, Any]], shoppers: int = 30) -> list[Any]:
    """What has happened before anybody looks: visits, a hostile shopper, and events that cannot be used."""
    dice = random.Random(4)
    now = int(time.time() * 1000)
    found: list[Any] = []
    for number in range(shoppers):
        for _ in range(2):
            found += visit(f"u{number}", dice, catalog)
    found += views(HOSTILE_USER, ["i3", "i4", "i3", "i4", "i5", "i3"])
    found.append(
        {
            "event_id": "hostile-search",
            "user_id": HOSTILE_USER,
            "type": "search",
            "ts": now,
            "query": f"{MARKUP} {TURNED}",
        }
    )
    found += views(
        UNUSABLE_USER, ["i3"]
    )  # ids with characters that hide are refused: it shows among the dead events
    found.append(b"no json <script>document.title='owned'</script>")
    found.append({"event_id": "odd", "user_id": "u1", "type": "levitate", "ts": now, "item_id": MARKUP})
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Keep a shop running, with traffic, until Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="nearline-shop-"))
    broker, store = free_ports(2)
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(tansu_spec(broker))
        supervisor.start(valkey_spec(store, folder / "valkey"))
        shop = Shop(f"{LOOPBACK}:{broker}", valkey_url(store), folder)
        done = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: done.set())
        try:
            shop.build()
            shop.start_console()
            print(f"{shop.url}  ann / {SECRETS['ann']}  in {folder}", flush=True)  # noqa: T201  # it is a command
            shop.start_worker()
            shop.play(first_events(shop.items))
            dice = random.Random(7)
            while not done.wait(0.5):
                shop.play(visit(f"u{dice.randrange(200)}", dice, shop.items))
        except KeyboardInterrupt:
            pass
        finally:
            shop.close()


if __name__ == "__main__":
    main()
