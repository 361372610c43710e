"""The data of what a target holds, for the reports to case workers: the persons and groups in each hold, with names."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.holds.open_holds import Hold, held_figure
from ims.feed.manifest import Totals
from ims.holds.losses import Cause
from ims.records.text import clean_text
from ims.records.vocabulary import RecordKind
from ims.reports.exclusion_report import Held, HeldPart
from ims.reports.hold_texts import HeldFigure


def held_parts(connection: Connection, target: TargetRow, holds: Sequence[Hold]) -> Iterator[HeldPart]:
    """Yield each of the target's open holds with who and what waits in it, except the first publication's."""
    parameters = {"owner": target.owner_id, "target": target.target_id}
    waiting: dict[int, list[Held]] = defaultdict(list)
    for hold_id, id_, name, since in connection.execute(_HELD_PERSONS, parameters):
        waiting[hold_id].append(Held("person", id_, name, since))
    for hold_id, id_, name, since in connection.execute(_HELD_GROUPS, parameters):
        waiting[hold_id].append(Held("group", id_, name, since))
    for hold in holds:
        if hold.cause is not Cause.INITIAL:
            yield HeldPart(held_figure(hold, target.settings.zone), waiting[hold.hold_id])


def held_figure_of(connection: Connection, target: TargetRow, holds: Sequence[Hold], person: int) -> HeldFigure | None:
    """Return the hold in which a person waits, or ``None``."""
    row = connection.execute(
        "select h.hold_id from imsfeed.hold_entry e join imsfeed.hold h using (hold_id)"
        " where h.target_id = %s and h.ended_at is null and e.kind = %s and e.id = %s order by h.hold_id limit 1",
        (target.target_id, int(RecordKind.PERSON), str(person)),
    ).fetchone()
    found = next((hold for hold in holds if row is not None and hold.hold_id == row[0]), None)
    return None if found is None else held_figure(found, target.settings.zone)


def published_totals(connection: Connection, target_id: int) -> Totals:
    """Return how many persons, groups and memberships are in the feed."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "select kind, count(*) from imsfeed.published where target_id = %s group by kind", (target_id,)
    ).fetchall()
    counts = dict(rows)
    return Totals(*(counts.get(kind, 0) for kind in RecordKind))


def same_ids(shared: Iterable[tuple[int, str]]) -> dict[int, tuple[int, ...]]:
    """Return for each running number the others that have the same text; an empty text is shared with none."""
    by_text: dict[str, list[int]] = defaultdict(list)
    found: dict[int, tuple[int, ...]] = {}
    for number, text in shared:
        found[number] = ()
        if text:
            by_text[text].append(number)
    for numbers in by_text.values():
        for number in numbers:
            found[number] = tuple(sorted(other for other in numbers if other != number))
    return found


def shared_code(target: TargetRow, number: int, code: str, school_no: str) -> str:
    """Return a group's ``sourcedid/id``, which it shares with another that is excluded for it."""
    return clean_text(target.settings.group_id.format(id=number, code=clean_text(code), school_no=school_no.strip()))


_HELD_PERSONS: Final = """
select h.hold_id, e.id::bigint,
       case when coalesce(p.protected, true) then '' else trim(p.given_name || ' ' || p.family_name) end, e.since
  from imsfeed.hold_entry e join imsfeed.hold h using (hold_id)
  left join imsfeed.person p on p.owner_id = %(owner)s and p.id = e.id::bigint
 where h.target_id = %(target)s and h.ended_at is null and e.kind = 1
"""

_HELD_GROUPS: Final = """
select h.hold_id, u.group_id, coalesce(g.name || ' (' || g.code || ')', e.id), e.since
  from imsfeed.hold_entry e join imsfeed.hold h using (hold_id)
  left join imsfeed.published u on u.target_id = h.target_id and u.kind = 2 and u.id = e.id
  left join imsfeed.course_group g on g.owner_id = %(owner)s and g.id = u.group_id
 where h.target_id = %(target)s and h.ended_at is null and e.kind = 2
"""
