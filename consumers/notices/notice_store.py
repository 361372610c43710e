"""Mails and failures in the state database: which mails have been sent, which targets fail, and a mail's figures."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import held_figure, open_holds
from consumers.published.exclusions_store import NOT_IN_FEED
from ims.feed.manifest import Counts, KindCounts, Totals
from ims.holds.losses import Cause
from ims.records.vocabulary import RecordKind
from ims.reports.mail_figures import ExcludedCount, Failure, Figures, WarnedCount
from ims.reports.warning_texts import MAILED
from ims.rules.eligibility import Reason
from ims.targets.importer_deadline import is_short_notice

Kind = Literal["daily", "failure", "over", "hold"]

_OVER_AFTER: Final = timedelta(minutes=2)
"""How long a failure must not have been seen before it is over: of several processes only one may see it."""
_DAY: Final = timedelta(days=1)


class FailureRow(msgspec.Struct, frozen=True):
    """A period in which a target failed; ``ended_at`` is ``None`` while it still fails."""

    failure_id: int
    kinds: tuple[Failure, ...]
    began_at: datetime
    ended_at: datetime | None


def note_failures(connection: Connection, target_id: int, kinds: Collection[Failure], now: datetime) -> None:
    """Record that the target fails now in these ways, or not at all."""
    if kinds:
        connection.execute(
            "insert into imsfeed.failure as f (target_id, kinds, began_at, seen_at) values"
            " (%(target)s, %(kinds)s, %(now)s, %(now)s) on conflict (target_id) where ended_at is null do update"
            " set seen_at = excluded.seen_at,"
            " kinds = array(select distinct unnest(f.kinds || excluded.kinds) order by 1)",
            {"target": target_id, "kinds": [kind.value for kind in kinds], "now": now},
        )
    else:
        connection.execute(
            "update imsfeed.failure set ended_at = %s where target_id = %s and ended_at is null and seen_at <= %s",
            (now, target_id, now - _OVER_AFTER),
        )


def recent_failures(connection: Connection, target_id: int, now: datetime) -> list[FailureRow]:
    """Return the present failure, if there is one, and those that ended in the last day."""
    rows = connection.execute(
        "select failure_id, kinds, began_at, ended_at from imsfeed.failure"
        " where target_id = %s and (ended_at is null or ended_at > %s) order by failure_id",
        (target_id, now - _DAY),
    ).fetchall()
    return [FailureRow(id_, tuple(map(Failure, kinds)), began, ended) for id_, kinds, began, ended in rows]


def claimed(connection: Connection, target_id: int) -> set[tuple[Kind, str]]:
    """Return the mails that a process has sent or is sending, by kind and subject."""
    rows = connection.execute(
        "select kind, subject from imsfeed.notice where target_id = %s and claimed_at is not null", (target_id,)
    ).fetchall()
    return {(kind, subject) for kind, subject in rows}


def last_hold_mails(connection: Connection, target_id: int) -> dict[int, datetime]:
    """Return when the last mail about each hold was claimed, by the hold's number."""
    # The subject of such a mail is the hold's number, a dot, and the start of the digest of what is on hold.
    rows = connection.execute(
        "select split_part(subject, '.', 1)::bigint, max(claimed_at) from imsfeed.notice"
        " where target_id = %s and kind = 'hold' and claimed_at is not null group by 1",
        (target_id,),
    ).fetchall()
    return dict(rows)


def claim(connection: Connection, target_id: int, kind: Kind, subject: str, now: datetime) -> bool:
    """Claim a mail; return False if another process has sent it or is sending it.

    The unique key of the table decides between processes that try at the same time. A claim that was released is kept
    as a row without ``claimed_at``, which the next process takes over.
    """
    claimed = connection.execute(
        "insert into imsfeed.notice as n (target_id, kind, subject, claimed_at) values (%s, %s, %s, %s)"
        " on conflict (target_id, kind, subject) do update set claimed_at = excluded.claimed_at"
        " where n.claimed_at is null returning 1",
        (target_id, kind, subject, now),
    ).fetchone()
    return claimed is not None


def mark_sent(connection: Connection, target_id: int, kind: Kind, subject: str, at: datetime) -> None:
    """Record that a claimed mail was sent."""
    connection.execute(
        "update imsfeed.notice set sent_at = %s where target_id = %s and kind = %s and subject = %s",
        (at, target_id, kind, subject),
    )


def release(connection: Connection, target_id: int, kind: Kind, subject: str) -> None:
    """Release a claimed mail that was not sent, so that it is tried again."""
    connection.execute(
        "update imsfeed.notice set claimed_at = null where target_id = %s and kind = %s and subject = %s",
        (target_id, kind, subject),
    )


def delete_old(connection: Connection, before: datetime) -> None:
    """Delete mails and failures that are older than *before*.

    The mails of a hold that still stands are kept: without them the hold would be reported again as a new one.
    """
    connection.execute(
        "delete from imsfeed.notice n where claimed_at < %s and not (kind = 'hold' and exists"
        " (select from imsfeed.hold h where h.target_id = n.target_id and h.ended_at is null"
        " and starts_with(n.subject, h.hold_id || '.')))",
        (before,),
    )
    connection.execute("delete from imsfeed.failure where ended_at < %s", (before,))


def owner_name(connection: Connection, owner_id: int) -> str:
    """Return the owner's name, or its number as long as the name has not arrived."""
    row = connection.execute("select name from imsfeed.owner where owner_id = %s", (owner_id,)).fetchone()
    return row[0] if row else str(owner_id)


def figures(
    connection: Connection, target: TargetRow, failures: tuple[Failure, ...], link: str | None, now: datetime
) -> Figures:
    """Return the figures of today's mail about *target*.

    Args:
        failures: the ways in which the target fails now.
        link: address of the report, for the mail.
    """
    published = connection.execute(
        "select kind, count(*) from imsfeed.published where target_id = %s group by kind", (target.target_id,)
    ).fetchall()
    deltas = connection.execute(
        "select counts from imsfeed.delta where target_id = %s and created_at > %s", (target.target_id, now - _DAY)
    ).fetchall()
    excluded = connection.execute(
        "select reason, count(*) filter (where kind = 1), count(*) filter (where kind = 2) from imsfeed.exclusion l"  # noqa: S608 - a constant
        f" where target_id = %s and {NOT_IN_FEED} group by reason",
        (target.target_id,),
    ).fetchall()
    warned: dict[str, int] = dict(
        connection.execute(
            "select warning, count(*) from imsfeed.warning where target_id = %s and kind = 1 group by warning",
            (target.target_id,),
        ).fetchall()
    )
    quarantined = connection.execute("select count(*) from imsfeed.quarantine").fetchone()
    counts: dict[int, int] = dict(published)
    holds = open_holds(connection, target.target_id)
    return Figures(
        target=target.settings.name,
        owner=owner_name(connection, target.owner_id),
        situation=obstacle_at(target, holds),
        published=Totals(*(counts.get(kind, 0) for kind in RecordKind)),
        last_day=_sum([msgspec.convert(row[0], Counts) for row in deltas]),
        excluded=_in_order(ExcludedCount(Reason(row[0]), row[1], row[2]) for row in excluded),
        quarantined=quarantined[0] if quarantined else 0,
        warned=tuple(WarnedCount(warning, warned[warning]) for warning in MAILED if warning in warned),
        failures=failures,
        short_notice=is_short_notice(target.settings),
        link=link,
        holds=tuple(
            held_figure(hold, target.settings.zone)
            for hold in holds
            if hold.state == "waiting" and hold.cause is not Cause.INITIAL
        ),
    )


def _in_order(excluded: Iterable[ExcludedCount]) -> tuple[ExcludedCount, ...]:
    order = {reason: number for number, reason in enumerate(Reason)}
    return tuple(sorted(excluded, key=lambda one: order[one.reason]))


def _sum(counts: list[Counts]) -> Counts:
    def of_kind(kinds: list[KindCounts]) -> KindCounts:
        return KindCounts(sum(k.new for k in kinds), sum(k.changed for k in kinds), sum(k.gone for k in kinds))

    return Counts(
        of_kind([one.person for one in counts]),
        of_kind([one.group for one in counts]),
        of_kind([one.membership for one in counts]),
    )
