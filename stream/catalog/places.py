"""Where the catalog topic ends, or was at a time: what a version records as its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.recorded import RecordedTopics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.settings import KafkaSettings

__all__ = ["places"]


async def places(
    kafka: KafkaSettings, *, since: int | None = None, known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """For each ``TOPIC:PARTITION`` the offset of the first change sent at or after a time.

    Args:
        kafka: the broker.
        since: milliseconds; None for now. Where the broker's offsets for times are wrong, an earlier offset is given: changes
            that are read twice do no harm.
        known: offsets that are not beyond the end, to look for it from there.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    known = known or {}
    async with RecordedTopics(kafka, [kafka.catalog_topic]) as topics:
        parts = [tp for group in (await topics.partitions()).values() for tp in group]
        starts = await topics.starts(parts, since)
        if since is None:
            starts = {
                tp: max(first, known.get(f"{tp.topic}:{tp.partition}", 0)) for tp, first in starts.items()
            }
            async for read, _ in topics.read(dict(starts)):
                for tp, records in read.items():
                    starts[tp] = records[-1].offset + 1
    return {f"{tp.topic}:{tp.partition}": offset for tp, offset in starts.items()}
