"""The living catalogue of a worker: follows changes, takes up new versions, folds a delta that has grown.

A new version is opened and brought up to the newest changes aside, while the last one serves; then the two change
places between two batches. One that is damaged, or was made by another encoder, is refused and shown in ``/stats``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mode import Service

from index.built.manifest import manifest_mark
from index.errors import CatalogError
from index.living import LivingRecall
from index.living.fold import save_delta
from stream.catalog.follower import CatalogFollower, Graveyard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from index.recall import Recall
    from stream.catalog.settings import CatalogSettings
    from stream.settings import KafkaSettings

__all__ = ["LivingCatalog"]

log = logging.getLogger(__name__)

_UNDER_WAY_NICE = 10


class LivingCatalog(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """Holds the recall that serves.

    Args:
        recall: over the catalogue as it was opened when the worker started.
        home: the folder of the catalogue in force.
        reopen: opens it anew, reading all of it; raises `CatalogError`.
        changed: awaited after the newest state has moved to another version.
        fail: called with an error that only an operator can mend; the worker then ends.
        kept: versions to keep when a delta is folded.
    """

    def __init__(
        self,
        recall: Recall,
        home: Path,
        kafka: KafkaSettings,
        settings: CatalogSettings,
        graveyard: Graveyard,
        *,
        reopen: Callable[[], Recall],
        changed: Callable[[], Awaitable[None]],
        fail: Callable[[BaseException], None],
        kept: int,
    ) -> None:
        super().__init__()
        self._home = home
        self._kafka = kafka
        self._settings = settings
        self._graveyard = graveyard
        self._reopen = reopen
        self._changed = changed
        self._fail = fail
        self._kept = kept
        self._seen = manifest_mark(home)
        self._follower = self._new_follower(recall)
        self._following: asyncio.Task[None] | None = None
        self._folding: asyncio.Task[None] | None = None
        self._fold_from = settings.fold_at
        self.switched = 0
        self.refused = ""

    @property
    def now(self) -> Recall:
        """The recall to serve the next batch with."""
        return self._follower.living.now

    async def on_start(self) -> None:
        """Follow; return when the catalogue is as the topic says, so that nothing removed is served."""
        self._following = asyncio.create_task(self._follower.run())
        self._following.add_done_callback(self._ended)
        await _first_of(self._follower.caught_up.wait(), self._following)

    async def on_stop(self) -> None:
        """Stop following; a fold under way is given up, and what it wrote is no version in force."""
        for task in (self._following, self._folding):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def statistics(self) -> dict[str, Any]:
        """For ``/stats``."""
        follower, living = self._follower, self._follower.living
        return {
            "version": living.version,
            "switched": self.switched,
            "refused": self.refused,
            "changes": living.delta.changes,
            "new_rows": living.delta.rows,
            "not_offered": living.delta.hidden,
            "applied": follower.applied,
            "rejected": follower.rejected,
            "last_batch_ms": round(follower.last_ms, 1),
            "positions": dict(follower.positions),
        }

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch(self) -> None:
        try:
            while not self.should_stop:
                await self.sleep(self._settings.watch_s)
                mark = manifest_mark(self._home)
                if mark is not None and mark != self._seen:
                    self._seen = mark
                    await self._take_up()
                elif self._ripe():
                    self._folding = asyncio.create_task(self._fold())
                    self._folding.add_done_callback(self._ended)
        except Exception as error:  # noqa: BLE001  # whatever it is, the operator must hear of it
            self._fail(error)

    async def _take_up(self) -> None:
        began = time.perf_counter()
        try:
            recall = await asyncio.to_thread(self._reopen)
        except CatalogError as error:
            self.refused = str(error)
            log.warning("the new catalogue is refused and the last one goes on serving: %s", error)
            return
        follower = self._new_follower(recall)
        following = asyncio.create_task(follower.run())
        following.add_done_callback(self._ended)
        await _first_of(follower.caught_up.wait(), following)
        old, self._follower = self._following, follower
        self._following = following
        self.refused = ""
        self.switched += 1
        self._fold_from = self._settings.fold_at
        if old is not None:
            old.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await old
        await self._changed()
        log.info("version %s taken up in %.1f s", follower.living.version, time.perf_counter() - began)

    def _new_follower(self, recall: Recall) -> CatalogFollower:
        published = recall.catalog.manifest.published
        offsets = published.offsets if published is not None else {}
        return CatalogFollower(LivingRecall(recall), offsets, self._kafka, self._settings, self._graveyard)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _ripe(self) -> bool:
        idle = self._folding is None or self._folding.done()
        grown = self._follower.living.delta.changes >= self._fold_from
        return bool(self._settings.fold_at) and idle and grown

    async def _fold(self) -> None:
        """Make the delta part of a new version, in a process of its own that gives way to serving."""
        follower = self._follower
        # Positions first: a change that is in the delta and read again does no harm, one that is in neither is lost.
        positions, delta = dict(follower.positions), follower.living.delta
        with tempfile.TemporaryDirectory(prefix="nearline-fold-") as name:
            folder = Path(name)
            await asyncio.to_thread(save_delta, delta, follower.living.near, positions, folder)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "index.living.fold", str(self._home), name, str(self._kept)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=lambda: os.nice(_UNDER_WAY_NICE) and None,
            )
            try:
                out, errors = await process.communicate()
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
        if process.returncode == 0:
            log.info("%d changes folded into version %s", delta.changes, out.decode().strip())
        else:
            # Another worker, or an operator, was quicker: the version they made is taken up next.
            log.info("%d changes not folded: %s", delta.changes, errors.decode()[-500:].strip())
            self._fold_from = 2 * delta.changes


async def _first_of(wanted: Awaitable[Any], task: asyncio.Task[None]) -> None:
    """Wait for ``wanted``, or for the task that brings it about to fail."""
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        task.result()
