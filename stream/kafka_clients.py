"""Connection options for the two Kafka clients: aiokafka in workers, kafka-python in tools."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from stream.errors import BrokerUnavailableError, CertificateError

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["async_options", "broker_unavailable", "check_broker", "sync_options"]


def _security(kafka: KafkaSettings) -> dict[str, Any]:
    """What both clients call by the same names."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.brokers.split(","),
        "security_protocol": kafka.security_protocol,
    }
    if kafka.sasl_mechanism:
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = (
            kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
        )
    return options


def sync_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options that every kafka-python client takes."""
    options = _security(kafka)
    if kafka.security_protocol in {"SSL", "SASL_SSL"}:
        options["ssl_context"] = _tls(kafka)
    return options


def async_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options that every aiokafka client takes: by the same names."""
    return sync_options(kafka)


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
        if kafka.ssl_certfile is not None:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    except OSError as error:
        named = [str(file) for file in (kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile) if file]
        raise CertificateError(
            f"A certificate of the broker connection cannot be read ({' or '.join(named)}): {error}.",
            way_out="stream.kafka.ssl_cafile, ssl_certfile and ssl_keyfile name PEM files.",
        ) from error
    context.check_hostname = kafka.ssl_check_hostname
    return context


def broker_unavailable(kafka: KafkaSettings, error: BaseException) -> BrokerUnavailableError:
    """The error that says which broker does not answer, and the way out."""
    return BrokerUnavailableError(
        f"No Kafka broker answers at {kafka.brokers} ({type(error).__name__}).",
        way_out="Start one with `nearline up`, or set stream.kafka.brokers (NEARLINE_STREAM__KAFKA__BROKERS).",
    )


async def check_broker(kafka: KafkaSettings, timeout_s: float = 10.0) -> None:
    """Return if a broker answers. Raises :class:`BrokerUnavailableError`."""
    client = AIOKafkaClient(**async_options(kafka), request_timeout_ms=int(timeout_s * 1000))
    try:
        async with asyncio.timeout(timeout_s):
            await client.bootstrap()
    except (KafkaError, TimeoutError, OSError) as error:
        raise broker_unavailable(kafka, error) from error
    finally:
        await client.close()
