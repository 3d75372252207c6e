"""Every error that the stream room raises on purpose.

NearlineError
└── StreamError
    ├── BrokerUnavailableError   the Kafka broker cannot be reached
    ├── RedisUnavailableError    Redis or Valkey cannot be reached
    ├── TopicMismatchError       the event topics do not share one number of partitions
    ├── RulesError          a rules file is wrong; names file, rule, field and what was expected
    ├── FencedError              another worker has taken this partition over
    ├── DatasetError             shopping data cannot be read (stream/datasets)
    ├── EmbeddedError            a part of the embedded stack failed (stream/embedded)
    └── CheckpointError     a checkpoint in Redis cannot be read or is of another version
"""

from __future__ import annotations

from nearline import NearlineError

__all__ = [
    "BrokerUnavailableError",
    "CheckpointError",
    "FencedError",
    "RedisUnavailableError",
    "RulesError",
    "StreamError",
    "TopicMismatchError",
]


class StreamError(NearlineError):
    """Root of the stream room's errors."""


class BrokerUnavailableError(StreamError):
    """The broker does not answer. Start it (`nearline up`) or correct `stream.kafka.brokers`."""


class RedisUnavailableError(StreamError):
    """Redis does not answer. Start it (`nearline up`) or correct `stream.redis.url`."""


class TopicMismatchError(StreamError):
    """Event topics differ in their number of partitions, so a user's events are not together."""


class RulesError(StreamError):
    """A rules file was refused. Nothing was changed: the rules in force stay in force."""


class FencedError(StreamError):
    """A newer owner holds the partition. What this worker has not checkpointed is the owner's to redo."""


class CheckpointError(StreamError):
    """A checkpoint cannot be used. It is never overwritten silently."""
