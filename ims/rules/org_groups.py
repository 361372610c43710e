"""The owner and its schools as groups, for importers that build their hierarchy of them.

PIFU-IMS always has them: every group points to the group above it, and the owner to itself. A school is a group as long
as it has a school number, whether or not it has members: a school does not close when its last learner leaves. Schools
that share a number are one school to the importer, which knows it by that number; it gets the name of the first.

Source: PIFU-IMS 1.3 (organisation levels 1 skoleeier and 2 skole, ``relationship`` on every group); VigoBAS and eFeide
import no person who is not in a school.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ims.identifiers import compact, organisation_number
from ims.records.model import GroupRecord
from ims.records.vocabulary import GroupLevel, RoleType
from ims.rules.eligibility import has_school_number, school_number
from ims.rules.normalisation import Normaliser
from ims.source.facts import Facts, Owner, School
from ims.targets.target_settings import TargetSettings

OWNER_PREFIX: Final = "org-"
SCHOOL_PREFIX: Final = "school-"
OWNER_KIND: Final = "skoleeier"
SCHOOL_KIND: Final = "skole"


class OrgGroups(msgspec.Struct, frozen=True):
    """The owner and its schools as groups; empty for a target that does not want them.

    Attributes:
        owner: the owner's group.
        schools: the schools' groups, by the school's running number; one for all that share a school number.
    """

    owner: GroupRecord | None = None
    schools: dict[int, GroupRecord] = {}

    @property
    def records(self) -> dict[str, GroupRecord]:
        """All of them, by ``sourcedid/id``."""
        records = {record.id: record for record in self.schools.values()}
        return records if self.owner is None else {self.owner.id: self.owner, **records}

    def parent_of_groups_at(self, school_id: int) -> str | None:
        """Return ``sourcedid/id`` of the group above a school's course groups, or ``None`` if there is none."""
        school = self.schools.get(school_id)
        return school.id if school is not None else None

    def roles(self, learns_at: Iterable[int], teaches_at: Iterable[int]) -> dict[str, RoleType]:
        """Return a person's role in each school's group: instructor where employed as a teacher, else learner."""
        roles = {self.schools[id_].id: RoleType.LEARNER for id_ in learns_at}
        return roles | {self.schools[id_].id: RoleType.INSTRUCTOR for id_ in teaches_at}


def org_groups(facts: Facts, settings: TargetSettings, source: str, orgnr: str) -> OrgGroups:
    """Return the owner and all its schools that have a number, if the target wants them or its dialect needs them."""
    if facts.owner is None or not (settings.org_groups or settings.dialect == "pifu"):
        return OrgGroups()
    owner = _owner_group(facts.owner, settings, source, orgnr)
    by_id: dict[str, GroupRecord] = {}
    schools = {}
    for id_ in sorted(facts.schools):
        school = facts.schools[id_]
        if has_school_number(school):
            record = _school_group(school, owner, settings)
            schools[id_] = by_id.setdefault(record.id, record)
    return OrgGroups(owner, schools)


def _owner_group(owner: Owner, settings: TargetSettings, source: str, orgnr: str) -> GroupRecord:
    normaliser = Normaliser(settings)
    id_ = f"{OWNER_PREFIX}{orgnr}"
    return GroupRecord(
        source=source,
        id=id_,
        kind=OWNER_KIND,
        short=normaliser.name("short", owner.name) or orgnr,
        long=normaliser.name("long", owner.name) or orgnr,
        owner_name=normaliser.name("owner_name", owner.name),
        school_name="",
        begin=None,
        end=None,
        level=GroupLevel.OWNER,
        parent=id_,
        orgnr=orgnr,
    )


def _school_group(school: School, owner: GroupRecord, settings: TargetSettings) -> GroupRecord:
    normaliser = Normaliser(settings)
    number = school_number(school)
    orgnr = compact(school.orgnr or "")
    known = organisation_number.is_valid(orgnr, allow_test_numbers=settings.allow_test_numbers)
    return GroupRecord(
        source=owner.source,
        id=f"{SCHOOL_PREFIX}{number}",
        kind=SCHOOL_KIND,
        # Two schools may have the same name, and Moodle stops the import at a short name that it already has.
        short=normaliser.name("short", school.name, number),
        long=normaliser.name("long", school.name) or number,
        owner_name=owner.owner_name,
        school_name=normaliser.name("school_name", school.name),
        begin=None,
        end=None,
        level=GroupLevel.SCHOOL,
        parent=owner.id,
        orgnr=orgnr if known else None,
    )
