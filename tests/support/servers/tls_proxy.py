"""TLS in front of a PostgreSQL server, as in a connection pooler: the embedded server is built without TLS.

It implements PostgreSQL's own protocol for TLS (SSLRequest, then the handshake) and refuses clients without it.
"""

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any, Final, NamedTuple

import trustme
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SSL_REQUEST: Final = 80_877_103
_GSS_REQUEST: Final = 80_877_104


class TlsPostgres(NamedTuple):
    """The TLS port of the server, and the certificate of its authority."""

    port: int
    authority: Path

    def dsn(self, plain: str, **changes: str) -> str:
        """Return the DSN over TLS for a DSN of the server; it checks the certificate and the host's name."""
        return make_conninfo(
            "",
            **{
                "host": "localhost",
                "port": str(self.port),
                "dbname": str(conninfo_to_dict(plain)["dbname"]),
                "user": str(conninfo_to_dict(plain).get("user", "postgres")),
                "sslmode": "verify-full",
                "sslrootcert": str(self.authority),
                **changes,
            },
        )


@contextmanager
def tls_in_front_of(plain: str, folder: Path) -> Iterator[TlsPostgres]:
    """Run TLS in front of the server of a DSN until the block is left."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "postgres-authority.pem"))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    proxy = _Proxy(plain, context)
    try:
        port = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
        yield TlsPostgres(port, folder / "postgres-authority.pem")
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Proxy:
    def __init__(self, plain: str, context: SSLContext) -> None:
        self._to = conninfo_to_dict(plain)
        self._context = context
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if await _asks_for_tls(reader, writer):
                    await writer.start_tls(self._context)
                    await self._pass_on(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = str(self._to["host"]), str(self._to.get("port") or 5432)
        inner_reader, inner_writer = await (
            asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            if host.startswith("/")
            else asyncio.open_connection(host, int(port))
        )
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, inner_writer))
                both.create_task(_pump(inner_reader, writer))
        finally:
            inner_writer.close()


async def _asks_for_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    while True:
        _, code = struct.unpack("!II", await reader.readexactly(8))
        if code == _SSL_REQUEST:
            writer.write(b"S")
            await writer.drain()
            return True
        if code != _GSS_REQUEST:
            return False
        writer.write(b"N")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
