"""A proxy on loopback whose connections can be severed, as a network does it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future
    from types import TracebackType

__all__ = ["Proxy"]

HOST = "127.0.0.1"
T = TypeVar("T")


class Proxy:
    """Forwards ``port`` to ``target`` from a thread of its own.

    Usable as a context manager. Connections are severed with a reset, in the middle of whatever is
    being said; while ``refusing`` new ones are reset as well.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._refusing = False
        self._writers: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, HOST, self.port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.sever(random.Random(0), share=1.0)
        self._call(asyncio.sleep(0.05))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def sever(self, rng: random.Random, share: float) -> int:
        """Reset each connection with probability ``share``; return how many were."""

        async def severing() -> int:
            chosen = [pair for pair in self._writers if rng.random() < share]
            for pair in chosen:
                for writer in pair:
                    writer.transport.abort()
            return len(chosen)

        return self._call(severing())

    def refuse(self, refusing: bool) -> None:
        """Reset every new connection from now on, or accept them again."""
        self._refusing = refusing

    def _call(self, work: Coroutine[None, None, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()  # as if the server were not there, which it is not
            return
        pair = (writer, far_writer)
        self._writers.append(pair)
        try:
            await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
        finally:
            self._writers.remove(pair)
            for end in pair:
                end.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
