"""What is decided before a replay on the wire touches the broker: settings, names, rules, and what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from index.built.catalog import Catalog
from index.errors import CatalogMissingError
from stream.gate.rules.ruleset import DEFAULT_RULES, parse_rules, read_rules
from stream.replay.calls import Mode
from stream.replay.cassette import Cassette
from stream.replay.replaying import Setup
from stream.replay.rules_kept import RulesKept
from stream.replay.run import Told
from stream.replay.wire.plan import Names, Plan
from stream.replay.wire.publisher import Publisher
from stream.settings import EventTopic
from stream.tracing import TracingSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.replay.capture import Capture
    from stream.replay.fired import Did
    from stream.replay.replaying import Wish

__all__ = ["Ready", "prepare", "wire_settings"]

# Everything is on the broker before a worker reads it, or comes in order: a topic that cannot be read yet is waited for.
_MERGE_LIMIT_MS = 600_000


class Ready(NamedTuple):
    """What a replay begins with; ``topics`` are its topics with their partitions."""

    plan: Plan
    publisher: Publisher
    told: Told
    topics: Mapping[str, int]


def wire_settings(setup: Setup, capture: Capture, names: Names) -> Setup:
    """The settings of the replay's workers: topics as they were recorded, under the replay's names."""
    manifest = capture.manifest
    kafka = setup.stream.kafka.model_copy(
        update={
            "prefix": names.topics,
            "event_topics": [
                EventTopic(
                    topic=one.topic.removeprefix(manifest.prefix), type=one.type, fields=dict(one.fields)
                )
                for one in manifest.event_topics
            ],
            "catalog": manifest.catalog_topic.removeprefix(manifest.prefix),
        }
    )
    gate = setup.stream.gate.model_copy(update={"merge_limit_ms": _MERGE_LIMIT_MS, "rules": None})
    redis = setup.stream.redis.model_copy(update={"prefix": names.keys})
    parts = {"kafka": kafka, "gate": gate, "redis": redis, "tracing": TracingSettings()}
    stream = setup.stream.model_copy(update=parts)
    return Setup(stream, setup.agents, setup.index)


def prepare(
    setup: Setup,
    capture: Capture,
    wish: Wish,
    names: Names,
    *,
    own: bool,
    rules: str,
    did: Callable[[Sequence[Did]], None],
) -> Ready:
    """Put together what the replay begins with.

    Args:
        setup: the settings of the workers.
        capture: what is replayed.
        wish: how.
        names: of topics and keys, and whether they are the replay's ``own``.
        own: see ``names``.
        rules: text of the rules that count where none were recorded and none are given.
        did: called with clicks and orders while events are published.

    Raises:
        CaptureError: the capture is damaged, or lacks the text of its rules.
        RulesError: the rules file is wrong.
        CatalogMissingError: there is no catalogue and slates are wanted.
        CassetteError: the cassette cannot be opened.
    """
    given = wish.rules is not None
    kept = RulesKept() if given else RulesKept.load(wish.capture, capture.manifest.rules)
    if wish.rules is not None:
        rules = read_rules(wish.rules)
    elif kept.versions:
        rules = kept.versions[0].text
    digest = parse_rules(rules, str(wish.rules or "the rules"), strict=given).digest
    told = Told(
        name=wish.run.name,
        capture=str(wish.capture),
        capture_sha256=capture.sha256,
        rules="as recorded" if kept.boundaries else digest,
        users=sorted(wish.users or ()),
        notes=capture.manifest.cautions(),
    )
    catalog = _catalog(setup, wish, told)
    kafka = setup.stream.kafka
    published = catalog.manifest.published if catalog is not None else None
    publisher = Publisher(
        capture,
        kafka,
        setup.stream.gate,
        users=wish.users,
        known=published.offsets if published is not None else None,
        did=did,
    )
    cassette = wish.cassette if wish.slates and wish.mode is not Mode.OFF else None
    since = 0
    if cassette is not None:
        with Cassette(cassette, wish.mode) as opened:  # made here, once, where it is to be recorded
            since = opened.since
        told.cassette = str(wish.mode)
    numbers = max(capture.parts(), default=0) + 1
    topics = dict.fromkeys(
        (*kafka.event_topic_names(), kafka.triggers_topic, kafka.slates_topic, kafka.dead_topic), numbers
    )
    topics[kafka.catalog_topic] = max((part.partition for part in capture.catalog_parts()), default=0) + 1
    plan = Plan(
        names=names,
        own=own,
        brokers=kafka.brokers,
        topics=sorted(topics),
        rules=rules,
        given=given,
        kept=publisher.moved(kept),
        until=capture.manifest.asked.until,
        model=wish.model,
        cassette=str(cassette.resolve()) if cassette is not None else None,
        mode=wish.mode if cassette is not None else Mode.OFF,
        since=since,
    )
    return Ready(plan, publisher, told, topics)


def default_rules(setup: Setup) -> str:
    """Text of the rules file of the configuration."""
    return read_rules(setup.stream.gate.rules or DEFAULT_RULES)


def _catalog(setup: Setup, wish: Wish, told: Told) -> Catalog | None:
    try:
        catalog = Catalog.open(setup.index.catalog)
    except CatalogMissingError:
        if wish.slates:
            raise
        told.notes.append("Without a catalogue items are taken as they come, without category.")
        return None
    if wish.slates:
        told.index = catalog.manifest.build_id
        told.encoder = catalog.manifest.encoder.fingerprint
    return catalog
