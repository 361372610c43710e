"""A course group's record, made from its facts, or the reason why it is excluded."""

from datetime import date

import msgspec

from ims.records.model import GroupRecord
from ims.records.text import clean_identifier
from ims.rules.eligibility import GROUP_RULES, GroupCase, Reason, first_reason, school_number
from ims.rules.normalisation import Normaliser, RecordWarning
from ims.rules.org_groups import OrgGroups
from ims.source.facts import CourseGroup, Facts, School
from ims.targets.target_settings import TargetSettings


class ExportedGroup(msgspec.Struct, frozen=True):
    """The record of a course group that is exported, and its warnings."""

    record: GroupRecord
    warnings: tuple[RecordWarning, ...]


def group_id(group: CourseGroup, school: School | None, settings: TargetSettings) -> str:
    """Return a group's ``sourcedid/id`` as it is written to the file.

    Two ids that differ only before they are cleaned would be the same to an importer, so that ids are compared in this
    form.
    """
    school_no = school_number(school) if school is not None else ""
    code = clean_identifier(group.code)
    return clean_identifier(settings.group_id.format(id=group.id, code=code, school_no=school_no))


def group_outcome(group: CourseGroup, facts: Facts, settings: TargetSettings, today: date) -> str | Reason:
    """Return a course group's ``sourcedid/id``, or the reason why it is excluded.

    Other groups with the same id are not considered here.
    """
    school = facts.schools.get(group.school_id)
    id_ = group_id(group, school, settings)
    return first_reason(GROUP_RULES, GroupCase(group, school, id_, today, settings)) or id_


def exported_group(
    group: CourseGroup, id_: str, facts: Facts, settings: TargetSettings, source: str, org: OrgGroups
) -> ExportedGroup:
    """Return the record of a group that is exported with ``sourcedid/id`` *id_*."""
    school = facts.schools.get(group.school_id)
    normaliser = Normaliser(settings)
    record = GroupRecord(
        source=source,
        id=id_,
        kind=normaliser.name("kind", group.kind),
        # The same code at two schools, or twice at one, is common, and Moodle stops the import at a short name that it
        # already has. The id makes the short name unique whatever the code is.
        short=normaliser.name("short", group.code, f"{school_number(school) if school is not None else ''}-{group.id}"),
        long=normaliser.name("long", group.name),
        owner_name=normaliser.name("owner_name", facts.owner.name if facts.owner is not None else ""),
        school_name=normaliser.name("school_name", school.name if school is not None else ""),
        begin=group.starts_on.isoformat() if group.starts_on is not None else None,
        end=group.ends_on.isoformat() if group.ends_on is not None else None,
        parent=org.parent_of_groups_at(group.school_id),
    )
    return ExportedGroup(record, normaliser.warnings)
