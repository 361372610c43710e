"""The proof of one target: its files, what it has been told, and the facts; and what is set going where they differ.

What was told wrongly is told right by the next cut, as any change is; facts that are not the source's come anew with a
resync, in order; and where two snapshots and the deltas between do not go together, a new epoch makes every importer
take the snapshot. A file that was changed in place is left to a person.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import psycopg

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, read_target
from consumers.feed.republish import begin_epoch
from consumers.reconciliation import results_store, source_reader
from consumers.reconciliation.facts import AGAIN_SECONDS, FactsComparison
from consumers.reconciliation.files import check_files
from consumers.reconciliation.results_store import Check, Checked, not_done
from consumers.reconciliation.rules import check_rules
from consumers.reconciliation.source_reader import SourceReader
from ims.runtime.settings import Settings
from ims.source.mapping import SourceMapping

_NO_SOURCE: Final = "RECONCILE_SOURCE_DSN is not set"
_NEXT_PUBLICATION: Final = "the next cut compares everything anew"
_NEW_EPOCH: Final = "a new epoch: every importer takes the snapshot again"


def reconcile(
    connection: Connection,
    settings: Settings,
    mapping: SourceMapping,
    target_id: int,
    now: datetime,
    *,
    pause: Callable[[float], bool],
    begun: Callable[[Check], None] = lambda _check: None,
    again_seconds: float = AGAIN_SECONDS,
) -> list[Checked]:
    """Prove a target, set repairs going, and keep what was found.

    Args:
        connection: to the state database, in autocommit mode.
        pause: waits so many seconds, and tells whether to stop.
        begun: told each check when it begins.
        again_seconds: time between two comparisons of what differs between facts and source.

    Raises:
        psycopg.Error: the state database is away; nothing is kept.
    """
    target = read_target(connection, target_id)
    begun("files")
    files = check_files(connection, settings.feed_directory, target)
    begun("rules")
    rules = check_rules(connection, target_id, lambda: not pause(0))
    begun("source")
    source = _source(connection, settings, mapping, target, pause, again_seconds)
    if rules.outcome == "differs":
        results_store.ask_for_repair(connection, target_id)
        rules = msgspec.structs.replace(rules, repair=_NEXT_PUBLICATION)
    if files.broken_at is not None:
        begin_epoch(connection, settings.feed_directory, target_id, now, "the nightly proof")
        files = msgspec.structs.replace(files, repair=_NEW_EPOCH)
    found = [files, rules, source]
    results_store.keep(connection, target_id, found, target.position.snapshot_through, now)
    return found


def _source(
    connection: Connection,
    settings: Settings,
    mapping: SourceMapping,
    target: TargetRow,
    pause: Callable[[float], bool],
    again_seconds: float,
) -> Checked:
    dsn = settings.reconcile_source_dsn
    if dsn is None:
        return not_done("source", _NO_SOURCE, skipped=True)
    partition = target.owner_id % settings.kafka_partitions
    try:
        with source_reader.connect(dsn.get_secret_value()) as session:
            source = SourceReader(session, settings.source_schema, settings.source_publication, mapping)
            reconciliation = FactsComparison(connection, source, settings.kafka_topic, partition, pause)
            found = reconciliation.check(target.owner_id, again_seconds=again_seconds)
            if found.outcome != "differs":
                return found
            asked = source.ask_for_resync(target.owner_id)
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        if connection.broken:
            raise
        return not_done("source", _why(error))
    command = f"imsfeed resync {target.owner_id}"
    repair = f"a resync of owner {target.owner_id} is asked for" if asked else f"none: run `{command}`"
    return msgspec.structs.replace(found, repair=repair)


def _why(error: psycopg.Error) -> str:
    # Of these errors the server's text names a table or a role; a driver's own text may hold an address and no more.
    return f"the source: {type(error).__name__}: {(error.diag.message_primary or str(error)).splitlines()[0]}"
