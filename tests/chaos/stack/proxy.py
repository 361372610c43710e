"""A TCP proxy between the processes and one server that fails like a network: resets, silence, delays, refusals.

It runs in a thread of its own and listens on 127.0.0.1; its methods may be called from any thread. Silent is half-open:
data is accepted and lost, and neither side notices. When the silence ends, a client that has sent data into it gets a
reset, as from a machine that was restarted meanwhile.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from enum import StrEnum
from typing import Any

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, 0 seconds. Such a socket is closed by a reset."""
_PIECE = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Mode(StrEnum):
    """What happens to data that is sent."""

    THROUGH = "through"
    SILENT = "half-open"
    SLOW = "slow"
    REFUSE = "refuse"


class Proxy:
    """A proxy to the port *upstream* of 127.0.0.1; it listens from its creation on.

    Attributes:
        port: where it listens.
        pieces: how many pieces of data passed in each mode so far.
    """

    def __init__(self, upstream: int) -> None:
        self.pieces = dict.fromkeys(Mode, 0)
        self.port = 0
        self._upstream = upstream
        self._mode = Mode.THROUGH
        self._delay = 0.0
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._lost: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._heard = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._do(self._listen())

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def reset(self) -> int:
        """Reset every connection, and return how many there were."""
        return int(self._do(self._reset_all()))

    def set(self, mode: Mode, delay: float = 0.1) -> int:
        """Change the mode, and return how many connections were reset by that.

        Args:
            delay: seconds by which each piece is delayed when slow.
        """
        self._delay = delay
        return int(self._do(self._set(mode)))

    def close(self) -> None:
        """Reset every connection and stop listening."""
        self._do(self._set(Mode.REFUSE))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=_PIECE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, mode: Mode) -> int:
        former, self._mode = self._mode, mode
        self._heard.set()
        self._heard = asyncio.Event()
        reset = 0
        if mode is Mode.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
            reset = await self._reset_all()
        elif former is Mode.REFUSE:
            await self._listen()
        if former is Mode.SILENT and mode is not Mode.SILENT:
            reset += await self._reset(list(self._lost))
        return reset

    async def _reset_all(self) -> int:
        return await self._reset(list(self._open))

    async def _reset(self, tasks: list[asyncio.Task[None]]) -> int:
        for task in tasks:
            for writer in self._open.get(task, ()):
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = [writer]
        try:
            while self._mode is Mode.SILENT:
                self._lost.add(task)
                await self._heard.wait()
            with contextlib.suppress(OSError):
                upstream = await asyncio.open_connection("127.0.0.1", self._upstream, limit=_PIECE)
                self._open[task].append(upstream[1])
                await self._join(task, (reader, writer), upstream)
        except asyncio.CancelledError:
            pass  # a reset, and not the end of the program
        finally:
            self._lost.discard(task)
            for one in self._open.pop(task):
                one.transport.abort()

    async def _join(self, task: asyncio.Task[None], client: Streams, server: Streams) -> None:
        pumps = [
            asyncio.ensure_future(self._pump(task, client[0], server[1])),
            asyncio.ensure_future(self._pump(task, server[0], client[1])),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE):
            mode = self._mode
            self.pieces[mode] += 1
            if mode is Mode.SILENT:
                self._lost.add(task)
                continue
            if mode is Mode.SLOW:
                await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        while self._mode is Mode.SILENT:  # the end of one side is not passed on either
            self._lost.add(task)
            await self._heard.wait()


@contextlib.contextmanager
def proxied(upstream: int) -> Iterator[Proxy]:
    """Yield a proxy to a port of 127.0.0.1; it is closed after the block."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
