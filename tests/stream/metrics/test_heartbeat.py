"""The heartbeat goes on, whatever Redis does and whatever a number does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from stream.embedded.ports import LOOPBACK, free_ports
from stream.metrics.heartbeat import Beat, Heartbeat
from stream.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = RedisSettings(url=SecretStr(f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"), timeout_s=0.5)


def beat() -> Beat:
    return Beat(1, "w", 0, 0, [], "", {}, {})


def wrong() -> Beat:
    raise KeyError("a number that is not there")


@pytest.mark.parametrize(("made", "words"), [(beat, "Redis does not take"), (wrong, "cannot be made")])
async def test_what_fails_is_said_once_and_stops_nothing(
    made: Callable[[], Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    heart = Heartbeat(SETTINGS, "w", made)
    with caplog.at_level(logging.WARNING):
        assert [await heart.write_once() for _ in range(3)] == [False] * 3
        await heart.on_shutdown()
    assert len(caplog.records) == 1
    assert words in caplog.text
