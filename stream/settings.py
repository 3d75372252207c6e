"""The settings that the stream room reads. Each has a consumer; the console composes them."""

from __future__ import annotations

from pathlib import Path  # pydantic resolves the annotation at run time
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from stream.catalog.settings import CatalogSettings
from stream.events import EVENT_TYPES, EventType
from stream.logs import LogFormat
from stream.tracing import TracingSettings

__all__ = [
    "EventTopic",
    "GateSettings",
    "InferSettings",
    "KafkaSettings",
    "RedisSettings",
    "SlateSettings",
    "StreamSettings",
    "WebSettings",
]

_TOPIC_NAMES: dict[str, str] = {
    EventType.VIEW: "views",
    EventType.CLICK: "clicks",
    EventType.SEARCH: "searches",
    EventType.FAVORITE: "favorites",
    EventType.CART: "carts",
    EventType.ORDER: "orders",
    EventType.INQUIRY: "inquiries",
    EventType.IMAGE_SEARCH: "image_searches",
    EventType.IMPRESSION: "impressions",
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


def _key_with_certificate(certificate: Path | None, key: Path | None, *names: str) -> None:
    if key is not None and certificate is None:
        msg = f"{names[1]} without {names[0]}: whose key is it?"
        raise ValueError(msg)


class EventTopic(_Model):
    """One topic of events, as it is on the broker."""

    topic: str = Field(description="Name of the topic on the broker.", min_length=1)
    type: str | None = Field(
        default=None,
        description="Type of its events where they carry none themselves: "
        "view, click, search, favorite, cart, order, inquiry, image_search or impression.",
    )
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="Where the topic names a field otherwise: our name to its name, e.g. {user_id: uid}.",
    )

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        if self.type is not None and self.type not in EVENT_TYPES:
            msg = f"unknown event type {self.type!r}, expected one of {', '.join(sorted(EVENT_TYPES))}"
            raise ValueError(msg)
        return self


def _default_topics() -> list[EventTopic]:
    return [EventTopic(topic=name, type=kind) for kind, name in _TOPIC_NAMES.items()]


class KafkaSettings(_Model):
    """The broker and the topics."""

    brokers: str = Field(
        default="127.0.0.1:9092", description="Bootstrap addresses, `host:port`, separated by commas."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to the broker."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="SASL mechanism, where the protocol is a SASL one."
    )
    sasl_username: str | None = Field(default=None, description="SASL user name.")
    sasl_password: SecretStr | None = Field(default=None, description="SASL password.")
    ssl_cafile: Path | None = Field(
        default=None,
        description="Certificate authority file (PEM), where TLS is used; without one, the system's.",
    )
    ssl_certfile: Path | None = Field(
        default=None, description="This program's own certificate (PEM), where the broker asks for one."
    )
    ssl_keyfile: Path | None = Field(
        default=None, description="Key of that certificate (PEM), where it is not in the same file."
    )
    ssl_check_hostname: bool = Field(
        default=True, description="Whether the broker's certificate must be of the name it is called by."
    )
    prefix: str = Field(
        default="",
        description="Put before every topic and group name, so that two systems can share a broker.",
        pattern=r"^[A-Za-z0-9._-]*$",
    )
    event_topics: list[EventTopic] = Field(
        default_factory=_default_topics, description="The topics that events arrive on.", min_length=1
    )
    catalog: str = Field(
        default="catalog", description="The topic of changes to items, keyed by item.", min_length=1
    )
    partitions: int = Field(default=4, ge=1, description="Partitions of topics that Nearline creates itself.")
    replication: int = Field(
        default=1, ge=1, description="Copies of topics that Nearline creates itself; 3 in production."
    )
    session_timeout_s: float = Field(
        default=6.0,
        ge=1,
        description="Seconds without a heartbeat after which a worker's partitions move on.",
    )

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        sasl = self.security_protocol.startswith("SASL")
        needed = ("sasl_mechanism", "sasl_username", "sasl_password")
        if sasl and (missing := [name for name in needed if not getattr(self, name)]):
            msg = f"{self.security_protocol} needs {' and '.join(missing)}"
            raise ValueError(msg)
        if not sasl and self.sasl_mechanism:
            msg = f"sasl_mechanism is for SASL_PLAINTEXT and SASL_SSL; security_protocol is {self.security_protocol}"
            raise ValueError(msg)
        if not self.security_protocol.endswith("SSL") and (self.ssl_cafile or self.ssl_certfile):
            msg = f"certificates are for SSL and SASL_SSL; security_protocol is {self.security_protocol}"
            raise ValueError(msg)
        _key_with_certificate(self.ssl_certfile, self.ssl_keyfile, "ssl_certfile", "ssl_keyfile")
        return self

    @property
    def triggers_topic(self) -> str:
        """Topic of triggers."""
        return f"{self.prefix}nearline.triggers"

    @property
    def slates_topic(self) -> str:
        """Topic of the record: every slate with its whole chain."""
        return f"{self.prefix}nearline.slates"

    @property
    def dead_topic(self) -> str:
        """Topic of dead events and triggers."""
        return f"{self.prefix}nearline.dead"

    @property
    def catalog_topic(self) -> str:
        """Topic of changes to items."""
        return f"{self.prefix}{self.catalog}"

    def event_topic_names(self) -> list[str]:
        """The event topics as they are on the broker, prefix included."""
        return [self.prefix + topic.topic for topic in self.event_topics]

    def topic_of(self, event_type: str) -> str | None:
        """The topic to send an event of this type to; None where none is configured."""
        untyped: str | None = None
        for topic in self.event_topics:
            if topic.type == event_type:
                return self.prefix + topic.topic
            if topic.type is None and untyped is None:
                untyped = self.prefix + topic.topic
        return untyped


class RedisSettings(_Model):
    """Redis or Valkey. The default needs no module."""

    url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Address; rediss:// for TLS. User and password may stand in it, or in their own settings.",
    )
    topology: Literal["single", "sentinel", "cluster"] = Field(
        default="single",
        description="What answers at the address: one server, sentinels that know which server leads, "
        "or a node of a cluster.",
    )
    nodes: list[str] = Field(
        default_factory=list,
        description="More sentinels or cluster nodes to ask, `host:port` each, for when that of the address is away.",
    )
    sentinel_service: str = Field(
        default="mymaster", description="How the sentinels call the servers.", min_length=1
    )
    username: str | None = Field(default=None, description="User (ACL), before the one in the address.")
    password: SecretStr | None = Field(default=None, description="Password, before the one in the address.")
    sentinel_username: str | None = Field(
        default=None, description="User at the sentinels, where they ask for one."
    )
    sentinel_password: SecretStr | None = Field(
        default=None, description="Password at the sentinels, where they ask for one."
    )
    tls_cafile: Path | None = Field(
        default=None,
        description="Certificate authority file (PEM), with rediss://; without one, the system's.",
    )
    tls_certfile: Path | None = Field(
        default=None, description="This program's own certificate (PEM), where the server asks for one."
    )
    tls_keyfile: Path | None = Field(
        default=None, description="Key of that certificate (PEM), where it is not in the same file."
    )
    tls_check_hostname: bool = Field(
        default=True, description="Whether the server's certificate must be of the name it is called by."
    )
    prefix: str = Field(default="nl:", description="Put before every key.", pattern=r"^[A-Za-z0-9._:-]*$")
    timeout_s: float = Field(default=5.0, gt=0, description="Seconds before a call is given up and retried.")

    @model_validator(mode="after")
    def _whole_address(self) -> Self:
        scheme = self.url.get_secret_value().partition("://")[0]
        if scheme not in {"redis", "rediss"}:
            msg = "url begins with redis:// or, for TLS, rediss://"
            raise ValueError(msg)
        if scheme == "redis" and (self.tls_cafile or self.tls_certfile):
            msg = "certificates are for TLS: the url must begin with rediss://"
            raise ValueError(msg)
        for node in self.nodes:
            host, _, port = node.rpartition(":")
            if not host or not port.isdecimal():
                msg = f"node {node!r} is no host:port"
                raise ValueError(msg)
        if self.nodes and self.topology == "single":
            msg = "nodes are for topology sentinel or cluster"
            raise ValueError(msg)
        _key_with_certificate(self.tls_certfile, self.tls_keyfile, "tls_certfile", "tls_keyfile")
        return self


class GateSettings(_Model):
    """From events to triggers."""

    rules: Path | None = Field(
        default=None,
        description="Rules file that counts while the book of rules is empty; without one, the commented default of "
        "the package. Once `nearline rules set` has written a version, the book counts.",
    )
    checkpoint_s: float = Field(default=1.0, gt=0, description="Seconds between checkpoints.")
    checkpoint_share: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Most of the time that checkpoints may take. While a worker catches up on a backlog they come "
        "less often for it, five times `checkpoint_s` apart at most.",
    )
    batch_events: int = Field(default=5000, ge=1, description="Most events read from the broker at one time.")
    merge_wait_ms: int = Field(
        default=75,
        ge=0,
        description="How long after an event was read the shopper's other topics must have been found without "
        "earlier ones. Raise it where producers deliver late.",
    )
    merge_limit_ms: int = Field(
        default=15_000,
        ge=0,
        description="After this long a topic that holds earlier events and cannot be read, while others can, is "
        "no longer waited for. Longer than the brokers need to elect a new leader.",
    )
    lateness_s: float = Field(
        default=86_400.0,
        ge=0,
        description="An event older than the shopper's newest by more than this is late.",
    )
    recent_events: int = Field(
        default=24,
        ge=4,
        le=1000,
        description="Events kept per shopper: what a trigger's snapshot carries and duplicates are found in.",
    )
    ledger_weeks: int = Field(default=53, ge=1, description="Weeks of purchases kept per shopper.")
    user_events_per_minute: int = Field(
        default=600,
        ge=1,
        description="Events of one shopper per minute of event time that are evaluated and remembered; those beyond "
        "(a scraper's) are applied by counting them as limited, and no more.",
    )
    max_memory_mb: float = Field(
        default=512,
        gt=0,
        description="Memory for shoppers' activity per worker, in MiB, beside some 150 that the process itself takes; "
        "the least recently active are written out and forgotten, and read back when they return.",
    )
    lost_state: Literal["refuse", "earliest", "committed"] = Field(
        default="refuse",
        description="What to do where checkpoint and broker do not fit together (one lost its data): refuse "
        "to start, read the topics from their earliest event, or go on at the group's committed offsets.",
    )
    max_event_bytes: int = Field(default=65_536, ge=256, description="A longer record is dead.")
    future_s: float = Field(
        default=600.0, ge=0, description="Clock skew forgiven before a timestamp is from the future."
    )


class InferSettings(_Model):
    """From triggers to slates."""

    batch_triggers: int = Field(
        default=256,
        ge=1,
        description="Most triggers read at one time; of each shopper's only the newest is kept.",
    )
    model_batch: int = Field(default=16, ge=1, description="Triggers whose demands are inferred together.")
    deadline_s: float = Field(
        default=10.0, gt=0, description="Age of a trigger after which it no longer waits for the model."
    )
    bought_days: int = Field(
        default=30, ge=0, description="Items bought within this many days are left out of the slate."
    )


class SlateSettings(_Model):
    """What is written for the storefront."""

    ttl_s: int = Field(default=604_800, ge=1, description="Seconds that a slate and its trace are kept.")
    cached_demands_ttl_s: int = Field(
        default=2_592_000, ge=1, description="Seconds that a shopper's last demands are kept for the ladder."
    )


class WebSettings(_Model):
    """The worker's health over HTTP."""

    host: str = Field(default="127.0.0.1", description="Address that health and readiness are served on.")
    port: int = Field(default=6066, ge=1, le=65535, description="Port of health and readiness.")


class MinuteSettings(_Model):
    """What workers count by the minute, for the console."""

    kept_s: int = Field(
        default=172_800,
        ge=7_200,
        description="Seconds that the counts of a minute are kept in Redis; a worker's take up to two kilobytes a minute.",
    )


class StreamSettings(_Model):
    """All settings of the stream room."""

    kafka: KafkaSettings = Field(default_factory=KafkaSettings, description="The broker and the topics.")
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Redis or Valkey.")
    gate: GateSettings = Field(default_factory=GateSettings, description="From events to triggers.")
    infer: InferSettings = Field(default_factory=InferSettings, description="From triggers to slates.")
    catalog: CatalogSettings = Field(
        default_factory=CatalogSettings, description="Changes to the catalogue while it serves."
    )
    slates: SlateSettings = Field(default_factory=SlateSettings, description="What the storefront reads.")
    minutes: MinuteSettings = Field(
        default_factory=MinuteSettings, description="What happened in each minute, for the console."
    )
    web: WebSettings = Field(default_factory=WebSettings, description="Health, counts and metrics over HTTP.")
    tracing: TracingSettings = Field(
        default_factory=TracingSettings,
        description="Traces by OpenTelemetry; off unless a collector is named.",
    )
    logs: LogFormat = Field(
        default="text",
        description="How workers log, to stderr: lines for people, or one JSON object a line, with the ids of the "
        "triggers that it is about.",
    )
