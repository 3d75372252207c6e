"""Puts changes on the catalog topic, keyed by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stream.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.settings import KafkaSettings

__all__ = ["send_changes"]

_FLUSH_EVERY = 1_000


async def send_changes(kafka: KafkaSettings, lines: Iterable[bytes]) -> int:
    """Send each line as a record and return how many the broker has acknowledged.

    A line that is no change is sent too: followers put it on the dead topic with the reason.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    outbox = Outbox(kafka, "nearline-catalog-send")
    await outbox.start()
    sent = 0
    try:
        for sent, line in enumerate(lines, 1):
            await outbox.send(kafka.catalog_topic, line, key=item_of(line))
            if sent % _FLUSH_EVERY == 0:
                await outbox.flush()
        await outbox.flush()
    finally:
        await outbox.stop()
    return sent


def item_of(line: bytes) -> str | None:
    """The item's id, which is the record's key; None where the line names none."""
    try:
        item = msgspec.json.decode(line)["item_id"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None
    return str(item) if isinstance(item, str | int) else None
