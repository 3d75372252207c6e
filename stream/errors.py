"""Every error that the stream room raises on purpose.

NearlineError
└── StreamError
    ├── BrokerUnavailableError   the Kafka broker cannot be reached
    ├── CertificateError         a file of a TLS connection cannot be read
    ├── RedisUnavailableError    Redis or Valkey cannot be reached
    ├── TracingError             traces are wanted, and OpenTelemetry is not installed
    ├── TopicMismatchError       the event topics do not share one number of partitions
    ├── RulesError          a rules file is wrong; names file, rule, field and what was expected
    │   └── RulesConflictError   somebody else changed the rules in between; tells who and why
    ├── FencedError              another worker has taken this partition over
    ├── DatasetError             shopping data cannot be read (stream/datasets)
    ├── EmbeddedError            a part of the embedded stack failed (stream/embedded)
    ├── ReplayError              a capture, cassette or run cannot be used (stream/replay)
    └── CheckpointError     a checkpoint in Redis cannot be read or is of another version
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearline import NearlineError

if TYPE_CHECKING:
    from stream.gate.rules.book import Version

__all__ = [
    "BrokerUnavailableError",
    "CertificateError",
    "CheckpointError",
    "FencedError",
    "RedisUnavailableError",
    "RulesConflictError",
    "RulesError",
    "StreamError",
    "TopicMismatchError",
    "TracingError",
]


class StreamError(NearlineError):
    """Root of the stream room's errors."""


class BrokerUnavailableError(StreamError):
    """The broker does not answer. Start it (`nearline up`) or correct `stream.kafka.brokers`."""


class CertificateError(StreamError):
    """A certificate or key cannot be read. Correct the path, or the file's rights."""


class RedisUnavailableError(StreamError):
    """Redis does not answer. Start it (`nearline up`) or correct `stream.redis.url`."""


class TracingError(StreamError):
    """Traces are wanted and cannot be made. Install ``nearline[tracing]`` or unset `stream.tracing.endpoint`."""


class TopicMismatchError(StreamError):
    """Event topics differ in their number of partitions, so a user's events are not together."""


class RulesError(StreamError):
    """A rules file was refused. Nothing was changed: the rules in force stay in force."""


class RulesConflictError(RulesError):
    """Another version than the one begun from is in force: ``current``, with its author and note."""

    def __init__(self, message: str, *, current: Version | None, way_out: str = "") -> None:
        super().__init__(message, way_out=way_out)
        self.current = current


class FencedError(StreamError):
    """A newer owner holds the partition. What this worker has not checkpointed is the owner's to redo."""


class CheckpointError(StreamError):
    """A checkpoint cannot be used. It is never overwritten silently."""
