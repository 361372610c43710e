"""Notices: the mails to case workers, sent beside everything else, each once.

A mail is claimed in the state database, sent, and marked as sent; one that the mail server does not take is given back
and tried again at the next look. A process that dies between the two leaves the claim: that mail is not sent again,
since nobody knows whether it was, and the next day's says the same.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.holds.open_holds import Hold, open_holds
from consumers.notices import notice_store
from consumers.notices.mail import MailError, MailRefusedError, MailServer, send
from consumers.notices.notice_store import FailureRow, Kind
from ims.reports.mail_texts import Failure, Mail, daily, failure_began, failure_over, hold_began, hold_changed
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.targets.importer_deadline import snapshot_is_missing

log = get_logger(__name__)

_BETWEEN: Final = timedelta(hours=1)
"""Shortest time between two mails about one hold."""


class _Due(NamedTuple):
    """A mail that should have been sent by now; ``failure`` or ``hold`` is what it is about, if it is about one.

    ``first``: it is the first mail about its hold.
    """

    kind: Kind
    subject: str
    failure: FailureRow | None = None
    hold: Hold | None = None
    first: bool = True


class Notices:
    """The mails of all targets.

    Args:
        executor: where mails are sent, so that a slow mail server keeps nobody waiting.
        stop: no further mail is begun once asked to stop.
    """

    def __init__(
        self, settings: Settings, server: MailServer, executor: Executor, metrics: CompactMetrics, stop: Stop
    ) -> None:
        self._settings = settings
        self._server = server
        self._executor = executor
        self._metrics = metrics
        self._stop = stop
        self._looking: Future[None] | None = None

    def look(self, broken: Collection[int], now: datetime) -> bool:
        """Send what is due, in the background.

        Args:
            broken: targets in whose feed something was found wrong since the last look.

        Returns:
            Whether it was begun; not while the last look goes on.
        """
        if self._looking is not None and not self._looking.done():
            return False
        self._looking = self._executor.submit(self._look, frozenset(broken), now)
        return True

    def _look(self, broken: Collection[int], now: datetime) -> None:
        try:
            with sessions.connect(self._settings.state(), "notices") as connection:
                for target in all_targets(connection):
                    if self._stop:
                        return
                    if target.state != "disabled" and target.settings.case_workers:
                        self._target(connection, target, target.target_id in broken, now)
        except MailError as error:
            # Looked at again soon; the other targets' mails go to the same server.
            log.warning("mail server failed", error=str(error))
        except Exception as error:  # whatever ails the mails, the feeds go on
            log.error("notices failed", exc_info=error)  # noqa: TRY400 - the error is given

    def _target(self, connection: Connection, target: TargetRow, broken: bool, now: datetime) -> None:
        notice_store.note_failures(connection, target.target_id, failures_of(target, broken, now), now)
        failures = notice_store.recent_failures(connection, target.target_id, now)
        claimed = notice_store.claimed(connection, target.target_id)
        holds = open_holds(connection, target.target_id)
        mailed = notice_store.last_hold_mails(connection, target.target_id)
        for due in (
            *_due(target, failures, claimed, self._settings.notice_hour, now),
            *due_about_holds(holds, claimed, mailed, now),
        ):
            mail = self._mail(connection, target, due, failures, now)
            if notice_store.claim(connection, target.target_id, due.kind, due.subject, now):
                self._send(connection, target, due, mail, now)

    def _mail(
        self, connection: Connection, target: TargetRow, due: _Due, failures: list[FailureRow], now: datetime
    ) -> Mail:
        link, zone, name = self._settings.report_url, target.settings.zone, target.settings.name
        if due.hold is not None:
            tell = hold_began if due.first else hold_changed
            return tell(
                name, notice_store.owner_name(connection, target.owner_id), notice_store.held_figure(due.hold, target)
            )
        if due.failure is None:
            present = next((one.kinds for one in failures if one.ended_at is None), ())
            return daily(notice_store.figures(connection, target, present, link, now))
        owner, began = notice_store.owner_name(connection, target.owner_id), due.failure.began_at
        if due.failure.ended_at is not None:
            return failure_over(name, owner, began, due.failure.ended_at, zone)
        return failure_began(name, owner, due.failure.kinds, began, zone, link)

    def _send(self, connection: Connection, target: TargetRow, due: _Due, mail: Mail, now: datetime) -> None:
        recipients = target.settings.case_workers
        about = {"target": target.settings.name, "owner": target.owner_id, "kind": due.kind}
        self._metrics.notice_attempts.inc()
        try:
            refused = send(
                self._server, mail, recipients, f"imsfeed.{target.position.epoch}.{due.kind}.{due.subject}", now
            )
        except MailError as error:
            for_good = isinstance(error, MailRefusedError) and error.for_good
            if not for_good:
                notice_store.give_back(connection, target.target_id, due.kind, due.subject)
            if not isinstance(error, MailRefusedError):
                raise
            log.error("mail refused", error=str(error), for_good=for_good, **about)  # noqa: TRY400 - the text says it all
            return
        notice_store.sent(connection, target.target_id, due.kind, due.subject, now)
        self._metrics.notices_sent.inc()
        log.info("mail sent", recipients=len(recipients), refused=refused, **about)


def failures_of(target: TargetRow, broken: bool, now: datetime) -> list[Failure]:
    """Why a target fails now. One that stands still makes no snapshots either, and that is one failure, not two."""
    failures = [Failure.FEED_BROKEN] if broken else []
    if target.state == "stale":
        return [*failures, Failure.STALE]
    if target.position.head_seq is not None and snapshot_is_missing(
        target.settings, target.position.snapshot_through, now
    ):
        return [*failures, Failure.SNAPSHOT_MISSING]
    return failures


def _due(
    target: TargetRow, failures: list[FailureRow], claimed: set[tuple[Kind, str]], hour: int, now: datetime
) -> Iterator[_Due]:
    """What should have been sent by now and nobody has claimed; the end of a failure only if its beginning was told."""
    for failure in failures:
        subject = str(failure.failure_id)
        if failure.ended_at is None and ("failure", subject) not in claimed:
            yield _Due("failure", subject, failure)
        if failure.ended_at is not None and ("failure", subject) in claimed and ("over", subject) not in claimed:
            yield _Due("over", subject, failure)
    local = now.astimezone(target.settings.zone)
    today = local.date().isoformat()
    if local.hour >= hour and ("daily", today) not in claimed:
        yield _Due("daily", today)


def due_about_holds(
    holds: list[Hold], claimed: set[tuple[Kind, str]], mailed: Mapping[int, datetime], now: datetime
) -> Iterator[_Due]:
    """A mail when a hold begins, and when it has become another set: at most one an hour, none once it is decided on.

    Args:
        mailed: when the last mail about each hold was claimed, by the hold's number.
    """
    for hold in holds:
        subject = f"{hold.hold_id}.{hold.digest[:12]}"
        last = mailed.get(hold.hold_id)
        if hold.state == "waiting" and ("hold", subject) not in claimed and (last is None or now - last >= _BETWEEN):
            yield _Due("hold", subject, hold=hold, first=last is None)
