"""The model in this process, in a thread of its own so that the event loop stays free."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.errors import GenerationError, ModelError, TooLate
from agents.runtime.threads import wise_threads
from agents.runtime.weights import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.prompts import Prompt
    from agents.runtime.engine import Engine
    from agents.runtime.protocol import Generation, Request
    from agents.settings import LocalSettings
    from agents.structured import Structure

__all__ = ["LocalRuntime"]

_log = logging.getLogger(__name__)


class LocalRuntime:
    """Answers batches one after another; each is decoded together."""

    name = "local"

    def __init__(self, settings: LocalSettings, words: Iterable[str] = ()) -> None:
        """Load the model (seconds; about a minute the first time ever, when it is converted).

        Raises:
            ModelError: the extra is not installed, or the model cannot be found or loaded.
        """
        threads = wise_threads(settings.threads)
        try:
            # Before torch, whose import takes seconds: a wrong folder is told at once.
            folder = locate(settings)
            import torch  # noqa: PLC0415  # an extra; and its threads must be told how to wait before

            from agents.runtime.engine import Engine  # noqa: PLC0415
        except ImportError as error:
            raise ModelError(
                f"the in-process model needs a package that is not installed: {error.name}.",
                way_out="Install nearline[local], or set agents.runtime to server.",
            ) from error
        self.model = folder.name
        self._batch = settings.batch
        self._threads = threads
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nearline-model")
        self._closed = False
        torch.set_num_threads(threads)
        self._engine: Engine = Engine(
            folder, dtype=getattr(torch, settings.dtype.value), vocabulary=settings.vocabulary, words=words
        )

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Compute the prompt's keys and values and compile the grammar (2 s)."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._engine.prepare, prompt, structure)

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        """Answer in chunks of at most ``batch``, requests of one prompt and structure together."""
        bounded = [_bounded(request, deadline) for request in requests]
        groups: dict[tuple[str, int, int], list[int]] = {}
        for i, request in enumerate(bounded):
            key = (request.prompt.sha256, request.structure.at_most, request.structure.longest)
            groups.setdefault(key, []).append(i)
        chunks = [
            indexes[at : at + self._batch]
            for indexes in groups.values()
            for at in range(0, len(indexes), self._batch)
        ]
        answers: dict[int, Generation | GenerationError] = {}
        loop = asyncio.get_running_loop()
        for chunk in chunks:
            part = [bounded[i] for i in chunk]
            answers.update(zip(chunk, await loop.run_in_executor(self._pool, self._run, part), strict=True))
        return [answers[i] for i in range(len(bounded))]

    async def ready(self) -> bool:
        """True until closed: the model was loaded before this object existed."""
        return not self._closed

    async def close(self) -> None:
        """Let the batch under way finish, then end the thread."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, wait=True)

    def _run(self, requests: Sequence[Request]) -> list[Generation | GenerationError]:
        now = time.monotonic()
        late = [
            i
            for i, request in enumerate(requests)
            if request.deadline is not None and request.deadline <= now
        ]
        live = [i for i in range(len(requests)) if i not in late]
        answers: dict[int, Generation | GenerationError] = {
            i: TooLate("the deadline passed while the request waited for the model.", way_out="Add workers.")
            for i in late
        }
        if live:
            try:
                answers.update(zip(live, self._engine.generate([requests[i] for i in live]), strict=True))
            except Exception as error:  # noqa: BLE001  # see the next line
                # Whatever breaks inside the model must cost these answers only, never the worker.
                _log.exception("the in-process model failed on a batch of %d", len(live))
                failure = GenerationError(f"the in-process model failed: {error!r}.", way_out="See the log.")
                answers.update(dict.fromkeys(live, failure))
        return [answers[i] for i in range(len(requests))]


def _bounded(request: Request, deadline: float | None) -> Request:
    if deadline is None:
        return request
    return replace(
        request, deadline=deadline if request.deadline is None else min(deadline, request.deadline)
    )
