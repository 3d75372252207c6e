"""All three ways to Apache Kafka, as a user over TLS: tools, reading and writing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from stream.errors import BrokerUnavailableError, CertificateError
from stream.kafka_clients import check_broker, client_options
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

from .conftest import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from .certificates import Certificates

pytestmark = pytest.mark.real


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
async def test_topics_are_made_and_events_sent_by_a_user_over_tls(
    secured_kafka: KafkaSettings, mechanism: str
) -> None:
    user = "scram" if mechanism.startswith("SCRAM") else "plain"
    about = {"sasl_mechanism": mechanism, "sasl_username": user, "prefix": f"s{uuid.uuid4().hex[:8]}."}
    kafka = secured_kafka.model_copy(update=about)
    await check_broker(kafka)
    create_topics(kafka)
    async with Player(kafka) as player:
        sent = await player.play(
            [{"event_id": "e", "user_id": "u", "type": "view", "item_id": "i", "ts": 1_700_000_000_000}]
        )
    assert sent.by_topic == {f"{kafka.prefix}views": 1}


@pytest.mark.parametrize("wrong", ["password", "authority"])
async def test_a_wrong_password_or_authority_is_told_without_the_password(
    secured_kafka: KafkaSettings, certificates: Certificates, wrong: str
) -> None:
    change: dict[str, Any] = (
        {"sasl_password": SecretStr("hunter2")}
        if wrong == "password"
        else {"ssl_cafile": certificates.stranger}
    )
    with pytest.raises(BrokerUnavailableError) as told:
        await check_broker(secured_kafka.model_copy(update=change))
    assert "hunter2" not in str(told.value) + told.value.way_out
    assert PASSWORD not in repr(secured_kafka)


def test_a_certificate_that_cannot_be_read_is_named(secured_kafka: KafkaSettings, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for file in (tmp_path / "none.pem", empty):
        with pytest.raises(CertificateError, match=file.name):
            client_options(secured_kafka.model_copy(update={"ssl_cafile": file}))


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"security_protocol": "SASL_SSL"}, "sasl_mechanism and sasl_username and sasl_password"),
        ({"security_protocol": "SSL", "sasl_mechanism": "PLAIN"}, "security_protocol is SSL"),
        ({"ssl_cafile": "ca.pem"}, "security_protocol is PLAINTEXT"),
        ({"security_protocol": "SSL", "ssl_keyfile": "key.pem"}, "ssl_keyfile without ssl_certfile"),
    ],
)
def test_half_a_configuration_is_refused_with_what_is_missing(fields: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        KafkaSettings.model_validate(fields)
