from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from stream.embedded.errors import EmbeddedError
from stream.embedded.ports import free_ports
from stream.embedded.probe import Finding, ProbeReport, probe_broker

if TYPE_CHECKING:
    from stream.embedded.kafka import KafkaCluster

NAMES = [
    "end_offsets",
    "offsets_for_times",
    "transactions",
    "keyed_order",
    "message_size",
    "compressed_batches",
    "group_join",
]


async def _probe_topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return [topic for topic in await admin.list_topics() if topic.startswith("nearline.probe")]
    finally:
        await admin.close()


def test_a_report_is_as_good_as_its_worst_finding_and_says_so_in_json() -> None:
    good = Finding("end_offsets", ok=True, detail="right", consequence="")
    bad = Finding("transactions", ok=False, detail="none", consequence="do without")
    assert ProbeReport("h:1", (good,), 0.1).ok
    report = ProbeReport("h:1", (good, bad), 0.1)
    assert not report.ok
    assert json.loads(report.to_json()) == {
        "bootstrap": "h:1",
        "ok": False,
        "seconds": 0.1,
        "findings": [
            {"name": "end_offsets", "ok": True, "detail": "right", "consequence": ""},
            {"name": "transactions", "ok": False, "detail": "none", "consequence": "do without"},
        ],
    }


@pytest.mark.real
async def test_apache_kafka_passes_every_check(kafka: KafkaCluster) -> None:
    report = await probe_broker(kafka.bootstrap)
    assert [finding.name for finding in report.findings] == NAMES
    assert report.ok, report.to_json()
    assert await _probe_topics(kafka.bootstrap) == []


@pytest.mark.real
async def test_tansu_is_told_what_it_gets_wrong_and_nothing_else(tansu: str) -> None:
    report = await probe_broker(tansu)
    assert [finding.name for finding in report.findings] == NAMES
    wrong = {finding.name: finding for finding in report.findings if not finding.ok}
    assert set(wrong) == {"end_offsets", "offsets_for_times", "transactions"}, report.to_json()
    assert wrong["end_offsets"].detail == "end offset 1 after one batch of 100 records, expected 100"
    assert all(finding.consequence for finding in wrong.values())
    assert await _probe_topics(tansu) == []


@pytest.mark.real
async def test_a_check_that_takes_too_long_counts_as_failed_and_the_topics_still_go(tansu: str) -> None:
    report = await probe_broker(tansu, check_timeout_s=0.0005)
    assert {finding.detail for finding in report.findings} == {"did not finish within 0.0005 s"}
    assert await _probe_topics(tansu) == []


async def test_an_address_where_no_broker_answers_is_named_in_time() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    begun = time.monotonic()
    with pytest.raises(EmbeddedError, match=address) as refused:
        await probe_broker(address)
    assert time.monotonic() - begun < 15
    assert "nearline up" in refused.value.way_out
