"""The reconciliation of one target: its files, its published records, and the facts; and the repairs that it begins.

The next publication corrects wrong published records, like any change. A resync sends facts that differ from the
source again, in order. If two snapshots and the deltas between do not add up, a new epoch makes every importer take
the snapshot. A file that was changed in place is left to an operator.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import psycopg

from consumers.database.mapping_record import mapping_digest
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, read_target
from consumers.feed.republish import begin_epoch
from consumers.reconciliation import results_store, source_reader
from consumers.reconciliation.facts import AGAIN_SECONDS, FactsComparison
from consumers.reconciliation.files import check_files
from consumers.reconciliation.results_store import Check, Checked, not_done
from consumers.reconciliation.rules import check_rules
from consumers.reconciliation.source_reader import SourceReader
from ims.errors import ImsfeedError
from ims.runtime.logs import summary
from ims.runtime.settings import Settings
from ims.source.mapping import SourceMapping

_NO_SOURCE: Final = "RECONCILE_SOURCE_DSN is not set"
_NEXT_PUBLICATION: Final = "the next publication compares everything again"
_NOT_STORED: Final = "not stored, and no repair begun: this role may only read the state database"
_OTHER_MAPPING: Final = (
    "the facts were made with another mapping than this process has, so that nothing was compared:"
    " give every process the MAPPING_FILE that materialize reads"
)
_NO_MAPPING: Final = "it is not known with which mapping the facts were made: start materialize of this version"
_NEW_EPOCH: Final = "a new epoch: every importer takes the snapshot again"


class Run(msgspec.Struct, frozen=True):
    """The callbacks and times of a reconciliation.

    Attributes:
        pause: waits for a number of seconds, and returns whether to stop.
        begun: called with each check when it begins.
        again_seconds: time between two comparisons of rows that differ between facts and source.
    """

    pause: Callable[[float], bool]
    begun: Callable[[Check], None] = lambda _check: None
    again_seconds: float = AGAIN_SECONDS


def reconcile(
    connection: Connection,
    settings: Settings,
    mapping: SourceMapping,
    target_id: int,
    now: datetime,
    run: Run,
) -> list[Checked]:
    """Reconcile a target, begin repairs, and store what was found.

    Args:
        connection: connection to the state database, in autocommit mode.

    Raises:
        psycopg.Error: the state database cannot be reached; nothing is stored.
    """
    target = read_target(connection, target_id)
    run.begun("files")
    files = _files(connection, settings, target)
    run.begun("rules")
    rules = check_rules(connection, target_id, lambda: not run.pause(0))
    run.begun("source")
    source = _source(connection, settings, mapping, target, run)
    found = [files, rules, source]
    try:
        found = _repaired(connection, settings, target_id, now, found)
        results_store.keep(connection, target_id, found, target.position.snapshot_through, now)
    except (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege):
        # What was found is shown all the same, and what this role cannot do beside it.
        return [msgspec.structs.replace(one, repair=one.repair or _NOT_STORED) for one in found]
    return found


def _repaired(
    connection: Connection, settings: Settings, target_id: int, now: datetime, found: list[Checked]
) -> list[Checked]:
    """Begin the repairs, and return what was found with them."""
    files, rules, source = found
    if rules.outcome == "differs":
        results_store.ask_for_repair(connection, target_id)
        rules = msgspec.structs.replace(rules, repair=_NEXT_PUBLICATION)
    if files.broken_at is not None:
        begin_epoch(connection, settings.feed_directory, target_id, now, "the nightly reconciliation")
        files = msgspec.structs.replace(files, repair=_NEW_EPOCH)
    return [files, rules, source]


def _files(connection: Connection, settings: Settings, target: TargetRow) -> Checked:
    try:
        return check_files(connection, settings.feed_directory, target)
    except (OSError, ImsfeedError) as error:  # the rules and the source can be compared nevertheless
        return not_done("files", summary(error))


def _source(
    connection: Connection,
    settings: Settings,
    mapping: SourceMapping,
    target: TargetRow,
    run: Run,
) -> Checked:
    dsn = settings.reconcile_source_dsn
    if dsn is None:
        return not_done("source", _NO_SOURCE, skipped=True)
    partition = target.owner_id % settings.kafka_partitions
    digest = mapping_digest(connection, settings.kafka_topic, partition)
    if digest != mapping.digest:
        return not_done("source", _NO_MAPPING if digest is None else _OTHER_MAPPING)
    try:
        with source_reader.connect(dsn.get_secret_value()) as session:
            source = SourceReader(session, settings.source_schema, settings.source_publication, mapping)
            reconciliation = FactsComparison(connection, source, settings.kafka_topic, partition, run.pause)
            found = reconciliation.check(target.owner_id, again_seconds=run.again_seconds)
            if found.outcome != "differs":
                return found
            asked = source.ask_for_resync(target.owner_id)
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        if connection.broken:
            raise
        return not_done("source", _why(error))
    command = f"imsfeed resync {target.owner_id}"
    repair = (
        f"a resync of owner {target.owner_id} is asked for"
        if asked
        else f"none: this role may not ask for it; run `{command}`"
    )
    return msgspec.structs.replace(found, repair=repair)


def _why(error: psycopg.Error) -> str:
    # The server's text of these errors names a table or a role; the driver's own text has an address at most.
    return f"the source: {type(error).__name__}: {(error.diag.message_primary or str(error)).splitlines()[0]}"
