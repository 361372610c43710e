"""What a publication has found besides the records: exclusions and their reasons, warnings, and changed ids.

All of it by running number.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from consumers.database.sessions import Connection
from ims.publication.gathered import Scope
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning

Excluded = Mapping[tuple[RecordKind, int], Reason]
"""The one exclusion reason of each person and group that is not exported."""
Warnings = Mapping[tuple[RecordKind, int], tuple[RecordWarning, ...]]
"""The warnings about each person and group that is exported."""


NOT_IN_FEED: Final = (
    "not exists (select from imsfeed.published u where u.target_id = l.target_id and u.kind = l.kind"
    " and ((u.kind = 1 and u.person_id = l.id) or (u.kind = 2 and u.group_id = l.id)))"
)
"""Condition that what the row *l* of ``imsfeed.exclusion`` excludes is not in the feed. A hold keeps persons and groups
in the feed that a rule excludes; people who read "excluded" must not take them for removed."""


def store_excluded(connection: Connection, target_id: int, scope: Scope, excluded: Excluded, now: datetime) -> None:
    """Store the exclusion reasons in *scope*, and since when; delete those of persons and groups exported now."""
    kinds, ids = [int(kind) for kind, _ in excluded], [id_ for _, id_ in excluded]
    connection.execute(
        "delete from imsfeed.exclusion where target_id = %s"
        " and ((kind = 1 and id = any (%s)) or (kind = 2 and id = any (%s)))"
        " and not (kind, id) in (select * from unnest(%s::smallint[], %s::bigint[]))",
        (target_id, scope.persons, scope.groups, kinds, ids),
    )
    if not excluded:
        return
    connection.execute(
        "insert into imsfeed.exclusion as l (target_id, kind, id, reason, since)"
        " select %s, *, %s::timestamptz from unnest(%s::smallint[], %s::bigint[], %s::text[])"
        " on conflict (target_id, kind, id) do update set reason = excluded.reason, since = excluded.since"
        " where l.reason <> excluded.reason",
        (target_id, now, kinds, ids, [reason.value for reason in excluded.values()]),
    )


def excluded_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many are excluded from enabled targets, by kind (``person`` or ``group``) and reason."""
    rows = connection.execute(
        "select l.kind, l.reason, count(*) from imsfeed.exclusion l join imsfeed.target t using (target_id)"
        " where (t.settings ->> 'enabled')::boolean group by 1, 2"
    ).fetchall()
    return {(RecordKind(kind).name.lower(), reason): count for kind, reason, count in rows}


def store_warnings(connection: Connection, target_id: int, scope: Scope, warnings: Warnings, now: datetime) -> None:
    """Store the warnings about the exported persons and groups in *scope*, and since when."""
    rows = [(int(kind), id_, warning.value) for (kind, id_), all_ in warnings.items() for warning in all_]
    kinds, ids, texts = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
    connection.execute(
        "delete from imsfeed.warning where target_id = %s"
        " and ((kind = 1 and id = any (%s)) or (kind = 2 and id = any (%s)))"
        " and not (kind, id, warning) in (select * from unnest(%s::smallint[], %s::bigint[], %s::text[]))",
        (target_id, scope.persons, scope.groups, kinds, ids, texts),
    )
    if not rows:
        return
    connection.execute(
        "insert into imsfeed.warning (target_id, kind, id, warning, since)"
        " select %s, *, %s::timestamptz from unnest(%s::smallint[], %s::bigint[], %s::text[])"
        " on conflict do nothing",
        (target_id, now, kinds, ids, texts),
    )


def store_id_changes(connection: Connection, target_id: int, persons: list[int], seq: int, now: datetime) -> None:
    """Store the persons whose ``sourcedid/id`` delta *seq* changes."""
    if not persons:
        return
    connection.execute(
        "insert into imsfeed.id_change (target_id, person_id, seq, changed_at)"
        " select %s, *, %s::bigint, %s::timestamptz from unnest(%s::bigint[]) on conflict do nothing",
        (target_id, seq, now, persons),
    )
