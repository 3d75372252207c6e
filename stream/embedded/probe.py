"""Tells what a broker gets wrong of Kafka, and what that means for Nearline.

Each check does to temporary topics what Nearline does to real ones, and compares. The topics are
deleted afterwards. Checks that do not finish in time count as failed; nothing waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from stream.embedded.errors import EmbeddedError
from stream.embedded.probe_checks import CHECKS, KEYED_PARTITIONS, Probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

__all__ = ["Finding", "ProbeReport", "probe_broker", "probe_broker_sync"]

_CONNECT_TIMEOUT_S = 10.0
_CHECK_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes:
        name: the check, a stable identifier such as ``end_offsets``.
        ok: whether the broker does what Kafka does.
        detail: what was seen.
        consequence: what a failure means for Nearline; empty when ok.
    """

    name: str
    ok: bool
    detail: str
    consequence: str


@dataclass(frozen=True)
class ProbeReport:
    """All findings about one broker, in the order the checks ran; ``seconds`` is the whole probe's time."""

    bootstrap: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the broker passed every check."""
        return all(finding.ok for finding in self.findings)

    def to_json(self) -> str:
        """Return the report as one JSON object: ``bootstrap, ok, seconds, findings:[{name, ok, detail, consequence}]``."""
        return json.dumps({**asdict(self), "ok": self.ok}, ensure_ascii=False)


async def probe_broker(
    bootstrap: str, *, security: Mapping[str, Any] | None = None, check_timeout_s: float = _CHECK_TIMEOUT_S
) -> ProbeReport:
    """Probe the broker at ``bootstrap`` (``HOST:PORT``, several comma-separated).

    ``security`` are aiokafka's options for TLS and users.

    Takes about five seconds; at the very most ``check_timeout_s`` a check and twenty seconds around them.

    Raises:
        EmbeddedError: no broker answers there, or it cannot create a topic.
    """
    begun = time.monotonic()
    findings = []
    with _client_log_silenced():
        async with _temporary_topics({**(security or {}), "bootstrap_servers": bootstrap}) as probe:
            for check in CHECKS:
                try:
                    async with asyncio.timeout(check_timeout_s):
                        ok, detail = await check.run(probe)
                except TimeoutError:
                    ok, detail = False, f"did not finish within {check_timeout_s:g} s"
                except (KafkaError, OSError, AssertionError, ValueError) as error:
                    ok, detail = False, f"{type(error).__name__}: {error}"
                findings.append(Finding(check.name, ok, detail, "" if ok else check.consequence))
    return ProbeReport(bootstrap, tuple(findings), round(time.monotonic() - begun, 2))


def probe_broker_sync(
    bootstrap: str, *, security: Mapping[str, Any] | None = None, check_timeout_s: float = _CHECK_TIMEOUT_S
) -> ProbeReport:
    """Do `probe_broker` where no event loop runs."""
    return asyncio.run(probe_broker(bootstrap, security=security, check_timeout_s=check_timeout_s))


@contextlib.contextmanager
def _client_log_silenced() -> Iterator[None]:
    """Keep the client's error log quiet: what a broker cannot do is a finding here, not an incident."""
    client_log = logging.getLogger("aiokafka")
    level = client_log.level
    client_log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        client_log.setLevel(level)


@contextlib.asynccontextmanager
async def _temporary_topics(connection: Mapping[str, Any]) -> AsyncIterator[Probe]:
    run, bootstrap = uuid.uuid4().hex[:12], connection["bootstrap_servers"]
    probe = Probe(connection, topic=f"nearline.probe.{run}", keyed_topic=f"nearline.probe.{run}.keyed")
    admin = AIOKafkaAdminClient(**connection, request_timeout_ms=5_000)
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await admin.start()
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        await _quietly(admin.close)
        msg = f"No Kafka broker answers at {bootstrap}: {type(error).__name__}: {error}."
        raise EmbeddedError(msg, way_out="Check the address, or start one with: nearline up.") from error
    topics = [
        NewTopic(probe.topic, probe.partitions, 1),
        NewTopic(probe.keyed_topic, KEYED_PARTITIONS, 1),
    ]
    try:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await admin.create_topics(topics)
                await _await_topics(probe)
        except (KafkaError, TimeoutError) as error:
            msg = f"The broker at {bootstrap} cannot create a topic: {type(error).__name__}: {error}."
            raise EmbeddedError(
                msg, way_out="The probe needs the right to create and delete topics."
            ) from error
        yield probe
    finally:
        await _quietly(lambda: admin.delete_topics([probe.topic, probe.keyed_topic]))
        await _quietly(admin.close)


async def _await_topics(probe: Probe) -> None:
    """Wait until every partition has a leader; a broker creates topics after it has said so."""
    producer = AIOKafkaProducer(**probe.connection)
    await producer.start()
    try:
        for topic, count in ((probe.topic, probe.partitions), (probe.keyed_topic, KEYED_PARTITIONS)):
            while len(await producer.partitions_for(topic)) < count:
                await asyncio.sleep(0.05)
                await producer.client.force_metadata_update()
    finally:
        await _quietly(producer.stop)


async def _quietly(ending: Callable[[], Awaitable[object]]) -> None:
    """Run the ending of something; its failure must not hide what the probe found."""
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(5):
            await ending()
