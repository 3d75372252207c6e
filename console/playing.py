"""Sending events to the broker while telling how far it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.player import Sent
    from stream.settings import KafkaSettings

__all__ = ["play", "print_sent"]


def play(
    kafka: KafkaSettings,
    events: Iterable[dict[str, Any] | bytes],
    *,
    rate: float | None = None,
    quiet: bool = False,
) -> Sent:
    """Send the events in their order, at ``rate`` a second; create topics that are missing.

    Raises:
        StreamError: the broker cannot be reached, or did not take an event.
    """
    from console.output import console  # noqa: PLC0415
    from stream.kafka_clients import check_broker  # noqa: PLC0415
    from stream.player import Player  # noqa: PLC0415
    from stream.topics import create_topics  # noqa: PLC0415

    asyncio.run(check_broker(kafka))
    create_topics(kafka)

    async def sending() -> Sent:
        async with Player(kafka) as player:
            with console.status("sending") as status:

                def told(sent: Sent) -> None:
                    status.update(
                        f"sent {sent.events:,} events, {sent.events / max(sent.seconds, 1e-9):,.0f} a second"
                    )

                return await player.play(events, rate=rate, told=None if quiet else told)

    return asyncio.run(sending())


def print_sent(sent: Sent, *, as_json: bool) -> None:
    """Say what was sent to which topic."""
    from console.output import console, print_json  # noqa: PLC0415

    if as_json:
        print_json({"sent": sent.events, "by_topic": dict(sent.by_topic), "seconds": sent.seconds})
        return
    per_topic = ", ".join(f"{topic} {count:,}" for topic, count in sent.by_topic.most_common())
    console.print(
        f"Sent {sent.events:,} events in {sent.seconds:.1f} s: {per_topic}."
        if sent.events
        else "No event was sent."
    )
