"""The partitions of a topic as leases of sessions on the state database: who has which, and who else is there.

A lease is an advisory lock of the session: one that ends, for whatever reason, gives back all it had. Leases only keep
two processes from reading the same messages in vain; that none is applied twice is seen to where it is applied
(:meth:`consumers.materialize.facts_store.FactsStore.apply`).
"""

from typing import Final

from consumers.database.sessions import Connection
from consumers.materialize.partition_assignment import Standing

_PRESENCE: Final = -1
"""Stands in place of a partition's number for being there; a lock that all may have at a time."""

_LOCKS: Final = """
select objid::bigint, pid, pid = pg_backend_pid() from pg_locks
 where locktype = 'advisory' and objsubid = 2 and granted
   and database = (select oid from pg_database where datname = current_database())
   and classid = hashtext(%s)::oid
"""
_UNSIGNED: Final = 1 << 32
"""PostgreSQL shows a lock's numbers without their sign."""


class Leases:
    """The leases of one session on one topic's partitions."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._name = _name(topic)
        self._present = False

    def look(self) -> Standing:
        """Be there, and see who else is."""
        if not self._present:
            self._connection.execute("select pg_advisory_lock_shared(hashtext(%s), %s)", (self._name, _PRESENCE))
            self._present = True
        locks = self._connection.execute(_LOCKS, (self._name,)).fetchall()
        present = {(pid, own) for number, pid, own in locks if number == _PRESENCE % _UNSIGNED}
        ours = next(pid for pid, own in present if own)
        return Standing(
            living=len(present),
            rank=sum(pid < ours for pid, _ in present),
            leased=frozenset(number for number, _, _ in locks if number != _PRESENCE % _UNSIGNED),
        )

    def take(self, partition: int) -> bool:
        """Lease *partition*, unless another session has it."""
        row = self._connection.execute(
            "select pg_try_advisory_lock(hashtext(%s), %s)", (self._name, partition)
        ).fetchone()
        return bool(row and row[0])

    def give_back(self, partition: int) -> None:
        """Let another session have *partition*."""
        self._connection.execute("select pg_advisory_unlock(hashtext(%s), %s)", (self._name, partition))


def lessees(connection: Connection, topic: str) -> dict[int, str]:
    """Who has each partition that somebody has: the session's process at the server, and its address if it is shown."""
    rows = connection.execute(
        f"select l.objid, l.pid, host(a.client_addr) from ({_LOCKS}) as l(objid, pid, own)"  # noqa: S608 - our own text
        " left join pg_stat_activity a on a.pid = l.pid where l.objid <> %s",
        (_name(topic), _PRESENCE % _UNSIGNED),
    ).fetchall()
    return {number: f"session {pid}" + (f" from {address}" if address else "") for number, pid, address in rows}


def _name(topic: str) -> str:
    return f"imsfeed {topic}"
