"""Connection options for the two Kafka clients: aiokafka in workers, kafka-python in tools."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaClient, AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError

from stream.errors import BrokerUnavailableError, CertificateError

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["broker_unavailable", "check_broker", "client_options", "started"]


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


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options that every client takes, aiokafka's and kafka-python's, by the same names."""
    options = _security(kafka)
    if kafka.security_protocol in {"SSL", "SASL_SSL"}:
        options["ssl_context"] = _tls(kafka)
    return options


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


async def started(producer: AIOKafkaProducer, kafka: KafkaSettings) -> AIOKafkaProducer:
    """The producer, connected.

    Raises:
        UnknownError: what a broker without idempotent producers says to one; ask again for a plain one.
        BrokerUnavailableError: no broker answers.
    """
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        if isinstance(error, UnknownError):
            raise
        raise broker_unavailable(kafka, error) from error
    return producer


async def check_broker(kafka: KafkaSettings, timeout_s: float = 10.0) -> None:
    """Return if a broker answers. Raises :class:`BrokerUnavailableError`."""
    client = AIOKafkaClient(**client_options(kafka), request_timeout_ms=int(timeout_s * 1000))
    try:
        async with asyncio.timeout(timeout_s):
            await client.bootstrap()
    except (KafkaError, TimeoutError, OSError) as error:
        raise broker_unavailable(kafka, error) from error
    finally:
        await client.close()
