"""Where a replay on the wire lives while it runs: a folder beside the run, topics on the broker and keys in Redis.

The folder says which topics and keys, and is written before they are made. So whoever repeats an interrupted replay removes
what it left and starts over.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import TYPE_CHECKING

from stream.replay.errors import WireError
from stream.replay.wire.plan import PLAN, Plan
from stream.replay.wire.topics import remove_keys, remove_topics

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

    from stream.settings import KafkaSettings

__all__ = ["Lodging"]

log = logging.getLogger(__name__)


class Lodging:
    """The lodging of a run.

    Args:
        run: folder of the run.
        kafka: the broker, as it is reached now.
    """

    def __init__(self, run: Path, kafka: KafkaSettings) -> None:
        self.folder = run.with_name(f".{run.name}.wire")
        self._kafka = kafka

    @property
    def logs(self) -> Path:
        """Folder of the workers' logs."""
        return self.folder / "logs"

    def note(self, plan: Plan) -> Path:
        """Write down where the replay lives; return the file.

        Raises:
            WireError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WireError(
                f"{self.folder} cannot be made: {error}.", way_out="Choose another --runs."
            ) from error
        return plan.save(self.folder)

    async def clear(self, redis: Redis) -> None:
        """Remove the topics and keys that the folder tells of, where they are the replay's alone.

        Raises:
            WireError: the broker refuses.
            BrokerUnavailableError: no broker answers.
        """
        path = self.folder / PLAN
        if not path.exists():
            return
        plan = Plan.load(path)
        if plan.brokers != self._kafka.brokers:
            log.warning(
                "a replay of this name was interrupted at %s; its topics %s* are left there",
                plan.brokers,
                plan.names.topics,
            )
        elif plan.own:
            await asyncio.to_thread(remove_topics, self._kafka, plan.topics)
        if plan.own:
            await remove_keys(redis, plan.names.keys)
        path.unlink()

    def forget(self) -> None:
        """Remove the folder, logs included."""
        shutil.rmtree(self.folder, ignore_errors=True)
