"""The nightly reconciliation: after a target's scheduled snapshot, in its own thread; again while something differs."""

import random
import time
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Final

import psycopg

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, read_target
from consumers.reconciliation import results_store
from consumers.reconciliation.facts import AGAIN_SECONDS
from consumers.reconciliation.run import Run, reconcile
from ims.errors import ImsfeedError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.source.mapping import SourceMapping

log = get_logger(__name__)

_AGAIN_AFTER: Final = timedelta(hours=1)
"""Time to the next reconciliation of a target if something differed or was not compared; it checks the repair."""
_SHOW_EVERY: Final = timedelta(seconds=30)


class NightlyReconciliation:
    """Reconciles each target that is due.

    Args:
        settings: settings with the source to compare with, if any.
        mapping: from the source's tables to ours.
        metrics: metrics of attempts and differences.
        executor: an executor with one thread.
        stop: ends a running reconciliation soon.
        again_seconds: time between two comparisons of rows that differ between facts and source.
    """

    def __init__(
        self,
        settings: Settings,
        mapping: SourceMapping,
        metrics: CompactMetrics,
        executor: Executor,
        stop: Stop,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._metrics = metrics
        self._executor = executor
        self._stop = stop
        self._again_seconds = again_seconds
        self._begun: dict[int, datetime] = {}
        self._running: dict[int, Future[None]] = {}
        self._shown: datetime | None = None

    def look(self, connection: Connection, targets: Iterable[TargetRow], now: datetime) -> None:
        """Begin a reconciliation of each target whose last scheduled snapshot is not reconciled; show the results."""
        if self._shown is None or not timedelta(0) <= now - self._shown < _SHOW_EVERY:
            self._show(connection)
            self._shown = now
        due = [target for target in targets if self._is_due(target, now)]
        random.shuffle(due)  # another process works on the same targets, and one that it has reconciled is skipped
        for target in due:
            self._begun[target.target_id] = now
            self._running[target.target_id] = self._executor.submit(self._reconcile, target, now)

    def _show(self, connection: Connection) -> None:
        for check, count in results_store.differing(connection).items():
            self._metrics.reconciliation_differences.labels(check).set(count)
        success = results_store.oldest_success(connection)
        self._metrics.reconciliation_last_success_timestamp_seconds.set(0 if success is None else success.timestamp())

    def _is_due(self, target: TargetRow, now: datetime) -> bool:
        if (
            target.state == "disabled"
            or not target.position.has_snapshot
            or target.position.reconciled_through == target.position.snapshot_through
        ):
            return False
        running = self._running.get(target.target_id)
        if running is not None and not running.done():
            return False
        begun = self._begun.get(target.target_id)
        return begun is None or now < begun or now - begun >= _AGAIN_AFTER

    def _reconcile(self, target: TargetRow, now: datetime) -> None:
        if self._stop:
            return
        names = {"target": target.settings.name, "owner": target.owner_id}
        started = time.monotonic()
        try:
            with sessions.connect(self._settings.state(), "reconciliation") as connection:
                current = read_target(connection, target.target_id)
                if current.position.reconciled_through == current.position.snapshot_through:
                    return
                self._metrics.reconciliation_attempts.inc()
                run = Run(self._stop.wait, again_seconds=self._again_seconds)
                found = reconcile(connection, self._settings, self._mapping, target.target_id, now, run)
        except (psycopg.Error, ImsfeedError, OSError) as error:
            log.warning("reconciliation failed", error=error, **names)  # it is tried again later
            return
        except Exception as error:
            # No caller asks the future for it: unlogged, the target would go unreconciled in silence.
            log.error("reconciliation failed", exc_info=error, **names)  # noqa: TRY400 - the error is given
            return
        for one in found:
            write = log.error if one.outcome == "differs" else log.info
            write(
                "reconciliation",
                check=one.check,
                outcome=one.outcome,
                differences=one.differences,
                details=list(one.details),
                repair=one.repair,
                seconds=round(time.monotonic() - started, 1),
                **names,
            )
