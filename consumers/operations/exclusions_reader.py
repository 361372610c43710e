"""The data of two reports to case workers: who is excluded, with names and places, and one person's status."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import open_holds
from consumers.operations.held_reader import held_figure_of, held_parts, published_totals, same_ids, shared_code
from consumers.published.exclusions_store import NOT_IN_FEED
from ims.errors import InvalidSettingsError
from ims.identifiers import compact
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.reports.exclusion_report import Excluded, Report
from ims.reports.person_status import Exported, LastPublication, PersonStatus
from ims.reports.warned import Warned
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.xml.reader import ReadRecord, read, read_fragment

_SHARED: Final = Reason.DUPLICATE_ID.value


class UnknownPersonError(InvalidSettingsError):
    """Neither the owner's facts nor the feed has a person with this running number."""


def read_report(connection: Connection, target: TargetRow, now: datetime) -> Report:
    """Return everyone and every group excluded from *target*, with names and places by which case workers find them."""
    parameters = {
        "target": target.target_id,
        "owner": target.owner_id,
        "today": now.astimezone(target.settings.zone).date(),
    }
    with repeatable_read(connection):
        owner = connection.execute("select name from imsfeed.owner where owner_id = %(owner)s", parameters).fetchone()
        persons = connection.execute(f"{_PERSONS} and {NOT_IN_FEED}", parameters).fetchall()
        groups = connection.execute(f"{_GROUPS} and {NOT_IN_FEED}", parameters).fetchall()
        warned = connection.execute(_WARNED, parameters).fetchall()
        holds = open_holds(connection, target.target_id)
        held = tuple(held_parts(connection, target, holds))
        published = published_totals(connection, target.target_id)
    same = same_ids((id_, shared) for id_, *_, shared, _ in persons)
    rows = [
        Excluded(
            "person",
            id_,
            f"{given} {family}".strip(),
            tuple(schools),
            tuple(names),
            Reason(reason),
            since,
            same[id_],
            tuple(others),
        )
        for id_, reason, since, given, family, schools, names, _, others in persons
    ]
    same = same_ids((id_, shared_code(target, id_, code, school_no)) for id_, *_, code, school_no in groups)
    rows += [
        Excluded("group", id_, name, tuple(schools), (), Reason(reason), since, same[id_] if reason == _SHARED else ())
        for id_, reason, since, name, schools, _, _ in groups
    ]
    warnings = tuple(
        Warned(
            "person" if kind == RecordKind.PERSON else "group", id_, name, RecordWarning(warning), tuple(others), since
        )
        for kind, id_, name, warning, others, since in warned
    )
    name = owner[0] if owner else ""
    situation = obstacle_at(target, holds)
    return Report(
        target.settings.name, name, now, target.settings.zone, tuple(rows), held, situation, published, warnings
    )


def read_status(connection: Connection, target: TargetRow, person: int) -> PersonStatus:
    """Return the status at *target* of the person with this running number.

    Raises:
        UnknownPersonError: neither the owner's facts nor the feed has such a person.
        FeedError: what was published about the person cannot be read.
    """
    with repeatable_read(connection):
        exported = _exported(connection, target, person)
        holds = open_holds(connection, target.target_id)
        excluded = connection.execute(
            "select reason, since from imsfeed.exclusion where target_id = %s and kind = %s and id = %s",
            (target.target_id, int(RecordKind.PERSON), person),
        ).fetchone()
        ids = _ids(connection, target, person)
        if not (exported or excluded or ids):
            raise UnknownPersonError(
                f"person {person} is not known: neither the owner's persons nor the feed of {target.settings.name} has"
                " this running number"
            )
        current = exported[0] if exported else None
        warnings = connection.execute(
            "select warning from imsfeed.warning where target_id = %s and kind = %s and id = %s order by warning",
            (target.target_id, int(RecordKind.PERSON), person),
        ).fetchall()
        published, since = _last_publication(connection, target, {*ids, *([current] if current else [])}, current)
        oldest = connection.execute(
            "select seq, created_at from imsfeed.delta where target_id = %s order by seq limit 1", (target.target_id,)
        ).fetchone()
    return PersonStatus(
        target=target.settings.name,
        situation=obstacle_at(target, holds),
        zone=target.settings.zone,
        person=person,
        exported=_as_exported(person, *exported, since) if exported else None,
        excluded=(Reason(excluded[0]), excluded[1]) if excluded else None,
        held=held_figure_of(connection, target, holds, person),
        published=published,
        oldest_delta=oldest,
        warnings=tuple(RecordWarning(warning) for (warning,) in warnings),
    )


_Memberships = list[tuple[str, RoleType]]
"""Each group's name, and the person's role in it."""
_ROLE_AT_SCHOOL: Final = {RoleType.LEARNER: InstitutionRole.STUDENT, RoleType.INSTRUCTOR: InstitutionRole.STAFF}


def _exported(connection: Connection, target: TargetRow, person: int) -> tuple[str, PersonRecord, _Memberships] | None:
    """Return the person's ``sourcedid/id``, record and memberships as they were published."""
    rows = connection.execute(
        "select p.kind, p.id, p.member, p.xml, g.xml from imsfeed.published p left join imsfeed.published g"
        " on g.target_id = p.target_id and g.kind = 2 and g.id = p.id and p.kind = 3"
        " where p.target_id = %s and p.person_id = %s order by p.kind, p.id",
        (target.target_id, person),
    ).fetchall()
    found: tuple[str, PersonRecord] | None = None
    memberships: _Memberships = []
    for kind, id_, member, xml, group_xml in rows:
        record = read_fragment(RecordKey(RecordKind(kind), id_, member), xml)
        if isinstance(record, PersonRecord):
            found = id_, record
        elif isinstance(record, MemberRecord):
            group = read_fragment(RecordKey(RecordKind.GROUP, id_), group_xml) if group_xml else None
            name = group.long or group.short if isinstance(group, GroupRecord) else id_
            memberships.append((name, record.role))
    return None if found is None else (*found, memberships)


def _as_exported(
    person: int, id_: str, record: PersonRecord, memberships: _Memberships, since: datetime | None
) -> Exported:
    in_groups = {role for _, role in memberships}
    # A PIFU file has no institution roles; the roles in the groups then say what the person is at the school.
    roles = record.roles or tuple(_ROLE_AT_SCHOOL[role] for role in RoleType if role in in_groups)
    return Exported("running number" if id_ == str(person) else "national id", roles, tuple(memberships), since)


def _ids(connection: Connection, target: TargetRow, person: int) -> list[str]:
    """Return the ids that the person may have in the feed, or none if the owner does not have the person."""
    row = connection.execute(
        "select national_id from imsfeed.person where owner_id = %s and id = %s", (target.owner_id, person)
    ).fetchone()
    if row is None:
        return []
    return [str(person), *filter(None, [compact(row[0] or "")])]


def _last_publication(
    connection: Connection, target: TargetRow, ids: Collection[str], current: str | None
) -> tuple[LastPublication | None, datetime | None]:
    """Return the newest delta that mentions one of *ids*, and the time of the newest in which *current* is new."""
    newest: LastPublication | None = None
    for published, records in _mentions(connection, target, ids):
        newest = newest or published
        if current is None:
            break
        if any(record.key == RecordKey(RecordKind.PERSON, current) and new is RecStatus.NEW for record, new in records):
            return newest, published.at
    return newest, None


def _mentions(
    connection: Connection, target: TargetRow, ids: Collection[str]
) -> Iterator[tuple[LastPublication, list[ReadRecord]]]:
    """Yield the deltas that have a person's record or memberships under one of *ids*, the newest first."""
    # The server skips deltas that cannot mention the ids, and sends the others one at a time: a delta may be large, and
    # the newest ones are usually enough. The XML reader then decides, because a text search also finds group ids.
    with connection.cursor(name="imsfeed_mentions") as cursor:
        cursor.itersize = 1
        cursor.execute(
            "select seq, created_at, xml from imsfeed.delta where target_id = %s and exists (select from"
            " unnest(%s::text[]) id where position(convert_to('<id>' || id || '</id>', 'UTF8') in xml) > 0)"
            " order by seq desc",
            (target.target_id, list(ids)),
        )
        for seq, at, xml in cursor:
            records = [item for item in read(xml) if isinstance(item, ReadRecord) and _is_about(item, ids)]
            changes = tuple((one.record.key.kind, one.recstatus) for one in records if one.recstatus is not None)
            if changes:
                yield LastPublication(seq, at, changes), records


def _is_about(item: ReadRecord, ids: Collection[str]) -> bool:
    key = item.record.key
    return (key.id if key.kind is RecordKind.PERSON else key.member) in ids


# The persons with whom an excluded or warned person l shares a national id or a login.
_OTHERS: Final = """select other.id || ' ' || other.given_name || ' ' || other.family_name from imsfeed.person other
             where other.owner_id = %(owner)s and other.id <> l.id and not other.protected
               and other.id = any (case
                 when l.reason in ('duplicate_id', 'registered_twice') then array(
                   select same.id from imsfeed.person one join imsfeed.person same on same.owner_id = one.owner_id
                      and imsfeed.national_number(same.national_id) = imsfeed.national_number(one.national_id)
                    where one.owner_id = %(owner)s and one.id = l.id and same.id <> l.id limit 10)
                 when l.reason = 'login_taken' then array(
                   select c.holder_id from imsfeed.login_conflict c
                    where c.target_id = l.target_id and c.person_id = l.id and c.holder_id is not null)
                 else '{}'::bigint[] end)
             order by other.id"""

_PERSONS: Final = """
select l.id, l.reason, l.since, coalesce(p.given_name, ''), coalesce(p.family_name, ''),
       array(select distinct s.name from imsfeed.school s where s.owner_id = %(owner)s and (
               s.id in (select g.school_id from imsfeed.enrolment e
                          join imsfeed.course_group g on g.owner_id = e.owner_id and g.id = e.group_id
                         where e.owner_id = %(owner)s and e.person_id = l.id and e.status = 'active'
                           and (e.ends_on is null or e.ends_on >= %(today)s))
               or s.id in (select m.school_id from imsfeed.employee m
                            where m.owner_id = %(owner)s and m.person_id = l.id and m.active))
             order by s.name),
       array(select distinct g.name || ' (' || g.code || ')' from imsfeed.enrolment e
               join imsfeed.course_group g on g.owner_id = e.owner_id and g.id = e.group_id
              where e.owner_id = %(owner)s and e.person_id = l.id and e.status = 'active'
                and (e.ends_on is null or e.ends_on >= %(today)s)
              order by 1),
       case when l.reason = 'duplicate_id' then regexp_replace(coalesce(p.national_id, ''), '\\D', '', 'g') else '' end,
       array($others)
  from imsfeed.exclusion l
  left join imsfeed.person p on p.owner_id = %(owner)s and p.id = l.id
 where l.target_id = %(target)s and l.kind = 1
""".replace("$others", _OTHERS)

_GROUPS: Final = """
select l.id, l.reason, l.since, coalesce(g.name || ' (' || g.code || ')', ''),
       array(select s.name from imsfeed.school s where s.owner_id = %(owner)s and s.id = g.school_id),
       coalesce(g.code, ''),
       coalesce((select s.school_no from imsfeed.school s where s.owner_id = %(owner)s and s.id = g.school_id), '')
  from imsfeed.exclusion l
  left join imsfeed.course_group g on g.owner_id = %(owner)s and g.id = l.id
 where l.target_id = %(target)s and l.kind = 2
"""

_WARNED: Final = """
select l.kind, l.id, coalesce(p.given_name || ' ' || p.family_name, g.name || ' (' || g.code || ')', ''), l.reason,
       array($others), l.since
  from (select target_id, kind, id, warning as reason, since from imsfeed.warning) l
  left join imsfeed.person p on l.kind = 1 and p.owner_id = %(owner)s and p.id = l.id
  left join imsfeed.course_group g on l.kind = 2 and g.owner_id = %(owner)s and g.id = l.id
 where l.target_id = %(target)s
 order by l.kind, l.id
""".replace("$others", _OTHERS)
