"""The only adapter to PostgreSQL's walsender: a replication connection over libpq, whose every wait ends with the stop.

psycopg has no replication cursor, but its ``pq`` module exposes libpq. Only libpq's asynchronous calls are used: the
blocking ``get_copy_data(0)`` would hold the interpreter's lock until the next change, and so halt every other thread:
metrics, probes, and the Kafka client.

Protocol: PostgreSQL's documentation, "Streaming Replication Protocol". After START_REPLICATION the connection is in
copy mode, both ways: the server sends WAL data and keepalives, and the client sends status updates with the position up
to which the slot may forget the log.
"""

import select
import time
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple, NoReturn, Self

import msgspec
import psycopg
from psycopg import errors, pq

from ims.errors import naming_setting
from ims.runtime.lifecycle import Stop
from producers.source.sessions import CONNECT_SECONDS, conninfo

_KIND_DATA, _KIND_KEEPALIVE = b"w"[0], b"k"[0]
_DATA: Final = Struct("!cQQq")
_KEEPALIVE: Final = Struct("!cQqB")
_STATUS: Final = Struct("!cQQQqB")
_MICROSECONDS_1970_TO_2000: Final = 946_684_800_000_000
_TURN_SECONDS: Final = 1.0
"""Longest single wait, so that ``alive`` is called at least every second."""


class StoppedError(Exception):
    """Raised out of a wait when the process is asked to stop."""


class Data(msgspec.Struct, frozen=True, gc=False):
    """A message of the output plugin, and its position in the WAL."""

    lsn: int
    payload: bytes


class Keepalive(NamedTuple):
    """A message that the server has sent everything up to ``wal_end``; ``reply_requested`` asks for an answer now."""

    wal_end: int
    reply_requested: bool


class ExportedSnapshot(NamedTuple):
    """The snapshot from which a new slot starts: under ``name`` a session sees what committed before that point."""

    name: str
    consistent_point: int


class Walsender:
    """A replication connection. Errors are those of psycopg, by SQLSTATE.

    Args:
        dsn: DSN of the source database.
        stop: ends every wait.
        alive: called at least every second while waiting.
    """

    def __init__(self, dsn: str, stop: Stop, alive: Callable[[], None]) -> None:
        self._stop = stop
        self._alive = alive
        self._received = 0
        self._connection = pq.PGconn.connect_start(conninfo(dsn, "capture", replication=True).encode())
        try:
            with naming_setting("SOURCE_DSN"):
                self._finish_connecting()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_process(self) -> int:
        """Process id of the server's backend for this connection."""
        return self._connection.backend_pid

    def create_slot(self, slot: str, *, temporary: bool = False) -> ExportedSnapshot:
        """Create the slot; its snapshot can be imported until the next command on this connection.

        Waits until every transaction that is running now has ended. A *temporary* slot is dropped with the connection.
        """
        kind = "TEMPORARY LOGICAL" if temporary else "LOGICAL"
        result = self._execute(f"CREATE_REPLICATION_SLOT \"{slot}\" {kind} pgoutput (SNAPSHOT 'export')")
        point, name = (result.get_value(0, column) or b"" for column in (1, 2))
        return ExportedSnapshot(name.decode(), lsn_of(point.decode()))

    def drop_slot(self, slot: str) -> None:
        """Drop the slot.

        Raises:
            psycopg.errors.ObjectInUse: another process reads it.
        """
        self._execute(f'DROP_REPLICATION_SLOT "{slot}"')

    def start(self, slot: str, publication: str) -> None:
        """Start streaming from the slot's confirmed position.

        The command always asks for 0/0: the server ignores a position behind the slot's own, and a position ahead of it
        would skip changes.

        Raises:
            psycopg.errors.ObjectInUse: another process reads the slot.
        """
        name = publication.replace('"', '""').replace("'", "''")
        options = f"proto_version '1', publication_names '\"{name}\"', messages 'false'"
        self._execute(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0 ({options})')

    def read(self, limit: int) -> Iterator[Data | Keepalive]:
        """Yield the messages that have arrived, at most *limit*, without waiting.

        Raises:
            psycopg.OperationalError: the connection is lost, or the server ends the stream.
        """
        connection = self._connection
        # get_copy_data(1) returns a message that libpq has buffered, 0 if there is none, or -1 when the copy has ended.
        # Only consume_input() reads from the socket: when the buffer is still empty after it, nothing more has arrived.
        consumed = False
        while limit:
            size, raw = connection.get_copy_data(1)
            if size > 0:
                limit -= 1
                consumed = False
                yield self._message(raw)
            elif size < 0:
                self._raise_result(connection.get_result())
            elif consumed:
                return
            else:
                connection.consume_input()
                consumed = True

    def wait(self, seconds: float, *, for_data: bool = True) -> None:
        """Wait at most *seconds* for data or the stop; for the stop alone if *for_data* is false."""
        # libpq may not have been able to send all of the last status update.
        unsent = self._connection.flush()
        self._poll((select.POLLIN if for_data else 0) | (select.POLLOUT if unsent else 0), seconds)

    def confirm(self, lsn: int, now: float) -> None:
        """Report to the server that everything up to *lsn* is stored elsewhere, so that the slot may move there.

        The report has three positions: received, flushed and applied. The slot moves to the flushed one. The received
        one is what has really arrived: otherwise the server would ask for a report again and again.

        Args:
            lsn: the position.
            now: the time, in seconds since 1970.
        """
        clock = int(now * 1_000_000) - _MICROSECONDS_1970_TO_2000
        self._connection.put_copy_data(_STATUS.pack(b"r", max(self._received, lsn), lsn, lsn, clock, 0))
        self._connection.flush()

    def end(self, seconds: float) -> bool:
        """End the stream with a handshake, so that the slot is free as soon as this returns.

        Closing the socket alone would leave the slot active until the server notices. What still arrives after the end
        of the copy was announced is thrown away: it has not been confirmed, and comes again with the next stream.

        Args:
            seconds: longest wait for the server's side of the handshake.

        Returns:
            True if the server has ended the stream too.
        """
        deadline = time.monotonic() + seconds
        connection = self._connection
        connection.put_copy_end()
        while (size := connection.get_copy_data(1)[0]) >= 0:
            if size:
                continue
            poll = select.poll()
            poll.register(connection.socket, select.POLLIN | (select.POLLOUT if connection.flush() else 0))
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                return False
            connection.consume_input()
        return True

    def close(self) -> None:
        """Close the connection, even in the middle of a command."""
        self._connection.finish()

    def _message(self, data: memoryview) -> Data | Keepalive:
        kind = data[0]
        if kind == _KIND_DATA:
            _kind, lsn, end, _clock = _DATA.unpack_from(data)
            self._received = max(self._received, end)
            return Data(lsn, bytes(data[_DATA.size :]))
        if kind == _KIND_KEEPALIVE:
            _kind, wal_end, _clock, reply = _KEEPALIVE.unpack(data)
            self._received = max(self._received, wal_end)
            return Keepalive(wal_end, bool(reply))
        raise psycopg.OperationalError(f"message of unknown kind {chr(kind)!r} on the replication connection")

    def _finish_connecting(self) -> None:
        deadline = time.monotonic() + CONNECT_SECONDS
        connection = self._connection
        while True:
            status = connection.connect_poll()
            if status == pq.PollingStatus.OK:
                connection.nonblocking = 1
                return
            if status == pq.PollingStatus.FAILED or connection.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError(f"cannot connect for replication: {connection.get_error_message()}")
            if time.monotonic() > deadline:
                raise errors.ConnectionTimeout(f"cannot connect for replication within {CONNECT_SECONDS} seconds")
            self._turn(select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)

    def _execute(self, command: str) -> pq.abc.PGresult:
        connection = self._connection
        connection.send_query(command.encode())
        while connection.flush():
            self._turn(select.POLLIN | select.POLLOUT)
        while connection.is_busy():
            self._turn(select.POLLIN)
            connection.consume_input()
        result = connection.get_result()
        if result is None or result.status not in {
            pq.ExecStatus.COMMAND_OK,
            pq.ExecStatus.TUPLES_OK,
            pq.ExecStatus.COPY_BOTH,
        }:
            self._raise_result(result)
        # libpq wants a command's results to be read to their end; COPY_BOTH is not over, it has just begun.
        if result.status != pq.ExecStatus.COPY_BOTH:
            while connection.get_result() is not None:
                pass
        return result

    def _turn(self, events: int) -> None:
        """Wait once for the socket, and raise if asked to stop."""
        self._alive()
        self._poll(events, _TURN_SECONDS)
        if self._stop:
            raise StoppedError

    def _poll(self, events: int, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._stop.fileno(), select.POLLIN)
        poll.register(self._connection.socket, events)
        poll.poll(seconds * 1000)

    def _raise_result(self, result: pq.abc.PGresult | None) -> NoReturn:
        if result is None or result.status != pq.ExecStatus.FATAL_ERROR:
            raise psycopg.OperationalError("the server has ended the replication stream")
        sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        try:
            kind = errors.lookup(sqlstate)
        except KeyError:
            kind = psycopg.OperationalError
        raise kind(result.get_error_message())


def lsn_of(text: str) -> int:
    """Return a WAL position from PostgreSQL's text form of it.

    >>> lsn_of("1/10")
    4294967312
    """
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(lsn: int) -> str:
    """Return a WAL position in PostgreSQL's text form.

    >>> lsn_text(4294967312)
    '1/10'
    """
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
