"""Notices: the mails to case workers, sent in a thread of their own, each at most once.

A mail is claimed in the state database, sent, and marked as sent. If the mail server does not accept it, the claim is
released and the mail is tried again in the next round. A process that dies after the claim leaves it there: it is not
known whether the mail was sent, so it is not sent again, and the next daily mail says the same.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.holds import holds_store
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import Hold, held_figure, open_holds
from consumers.notices import notice_store
from consumers.notices.mail import MailError, MailRefusedError, MailServer, greet, send
from consumers.notices.notice_store import FailureRow, Kind
from ims.reports.mail_figures import Failure
from ims.reports.mail_texts import Mail, daily, failure_began, failure_over, hold_began, hold_changed
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.targets.importer_deadline import snapshot_is_missing

log = get_logger(__name__)

_HOLD_MAIL_EVERY: Final = timedelta(hours=1)
"""Shortest time between two mails about one hold."""


class _Due(NamedTuple):
    """A mail that is due.

    Attributes:
        subject: what distinguishes it from others of its kind, for example the date, or the hold's number and digest.
        failure: the failure that it is about, if any.
        hold: the hold that it is about, if any.
        first: it is the first mail about its hold.
    """

    kind: Kind
    subject: str
    failure: FailureRow | None = None
    hold: Hold | None = None
    first: bool = True


class Notices:
    """The mails of all targets.

    Args:
        executor: sends the mails, so that a slow mail server does not delay the feeds.
        stop: once it is set, no further target's mails are begun.
    """

    def __init__(
        self, settings: Settings, server: MailServer, executor: Executor, metrics: CompactMetrics, stop: Stop
    ) -> None:
        self._settings = settings
        self._server = server
        self._executor = executor
        self._metrics = metrics
        self._stop = stop
        self._round: Future[None] | None = None

    def send_due(self, broken: Mapping[int, Failure], now: datetime) -> bool:
        """Begin a round of all mails that are due, in the background.

        Args:
            broken: targets that have failed since the last round, and how.

        Returns:
            Whether a round was begun; it is not while the last one still runs.
        """
        if self._round is not None and not self._round.done():
            return False
        self._round = self._executor.submit(self._send_due, dict(broken), now)
        return True

    def _send_due(self, broken: Mapping[int, Failure], now: datetime) -> None:
        try:
            with sessions.connect(self._settings.state(), "notices") as connection:
                protected = holds_store.protected_departures(connection, now)
                for target in all_targets(connection):
                    if self._stop:
                        return
                    if target.state != "disabled" and target.settings.case_workers:
                        found = failures_of(target, broken.get(target.target_id), now)
                        if protected.get(target.target_id, 0) > holds_store.MANY_PROTECTED:
                            found.append(Failure.MANY_PROTECTED)
                        self._send_due_of(connection, target, found, now)
        except MailError as error:
            # The server takes no other target's mails either, so this round ends; the next one tries again.
            log.warning("mail server failed", error=str(error))
        except Exception as error:  # no failure of the mails may stop the feeds
            log.error("notices failed", exc_info=error)  # noqa: TRY400 - the error is given

    def _send_due_of(
        self, connection: Connection, target: TargetRow, found: Collection[Failure], now: datetime
    ) -> None:
        notice_store.note_failures(connection, target.target_id, found, now)
        failures = notice_store.recent_failures(connection, target.target_id, now)
        claimed = notice_store.claimed(connection, target.target_id)
        holds = open_holds(connection, target.target_id)
        mailed = notice_store.last_hold_mails(connection, target.target_id)
        for due in (
            *_due(target, failures, claimed, self._settings.notice_hour, now),
            *due_hold_mails(holds, claimed, mailed, now),
        ):
            try:
                # Composed before it is claimed: an error while composing must not use up the only attempt.
                mail = self._compose(connection, target, due, failures, now)
                if notice_store.claim(connection, target.target_id, due.kind, due.subject, now):
                    self._send(connection, target, due, mail, now)
            except MailError as error:
                greet(self._server)  # does the server fail, or was it this mail?
                log.warning("mail failed", kind=due.kind, error=str(error), **_about(target))
            except Exception as error:
                if not sessions.is_usable(connection):
                    raise
                # One mail's text must not keep the others from being sent, of this target or another.
                log.error("mail failed", kind=due.kind, exc_info=error, **_about(target))  # noqa: TRY400 - the error is given

    def _compose(
        self, connection: Connection, target: TargetRow, due: _Due, failures: list[FailureRow], now: datetime
    ) -> Mail:
        link, zone, name = self._settings.report_url, target.settings.zone, target.settings.name
        if due.hold is not None:
            compose = hold_began if due.first else hold_changed
            return compose(name, notice_store.owner_name(connection, target.owner_id), held_figure(due.hold, zone))
        if due.failure is None:
            present = next((one.kinds for one in failures if one.ended_at is None), ())
            return daily(notice_store.figures(connection, target, present, link, now))
        owner, began = notice_store.owner_name(connection, target.owner_id), due.failure.began_at
        if due.failure.ended_at is not None:
            return failure_over(name, owner, began, due.failure.ended_at, zone)
        situation = obstacle_at(target, open_holds(connection, target.target_id))
        return failure_began(name, owner, due.failure.kinds, began, zone, link, situation)

    def _send(self, connection: Connection, target: TargetRow, due: _Due, mail: Mail, now: datetime) -> None:
        recipients = target.settings.case_workers
        about = {"kind": due.kind, **_about(target)}
        self._metrics.notice_attempts.inc()
        try:
            refused = send(
                self._server, mail, recipients, f"imsfeed.{target.position.epoch}.{due.kind}.{due.subject}", now
            )
        except MailError as error:
            permanent = isinstance(error, MailRefusedError) and error.permanent
            if not permanent:
                notice_store.release(connection, target.target_id, due.kind, due.subject)
            if not isinstance(error, MailRefusedError):
                raise
            log.error("mail refused", error=str(error), permanent=permanent, **about)  # noqa: TRY400 - the text says it all
            return
        except Exception:
            # It was not handed over to the server, so it may be tried again.
            notice_store.release(connection, target.target_id, due.kind, due.subject)
            raise
        notice_store.mark_sent(connection, target.target_id, due.kind, due.subject, now)
        self._metrics.notices_sent.inc()
        log.info("mail sent", recipients=len(recipients), refused=refused, **about)


def _about(target: TargetRow) -> dict[str, str | int]:
    return {"target": target.settings.name, "owner": target.owner_id}


def failures_of(target: TargetRow, broken: Failure | None, now: datetime) -> list[Failure]:
    """Return the ways in which a target fails now.

    A stale target takes no snapshots either; that is one failure, not two.

    Args:
        broken: how it has failed since the last round of mails, if it has.
    """
    failures = [] if broken is None else [broken]
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
    """Yield the mails about failures and the daily one that are due and unclaimed.

    The end of a failure is reported only if its beginning was.

    Args:
        hour: from when the daily mail is due, in the target's time zone.
    """
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


def due_hold_mails(
    holds: list[Hold], claimed: set[tuple[Kind, str]], mailed: Mapping[int, datetime], now: datetime
) -> Iterator[_Due]:
    """Yield a mail for each hold that has begun or whose content has changed.

    There is at most one mail an hour about a hold, and none after it has been approved or rejected.

    Args:
        mailed: when the last mail about each hold was claimed, by the hold's number.
    """
    for hold in holds:
        subject = f"{hold.hold_id}.{hold.digest[:12]}"
        last = mailed.get(hold.hold_id)
        if (
            hold.state == "waiting"
            and ("hold", subject) not in claimed
            and (last is None or now - last >= _HOLD_MAIL_EVERY)
        ):
            yield _Due("hold", subject, hold=hold, first=last is None)
