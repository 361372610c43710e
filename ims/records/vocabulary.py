"""The code tables of IMS Enterprise 1.1 that the feed uses, each with its meaning.

Source: IMS Enterprise Information Model and XML Binding 1.1 (recstatus, idtype, roletype, status, institutionrole).

>>> RoleType.INSTRUCTOR.value
'02'
>>> RecStatus.GONE.value
3
"""

from enum import IntEnum, StrEnum


class RecStatus(IntEnum):
    """What a record of a delta asks the importer to do: add, change or remove; absent in a snapshot."""

    NEW = 1
    CHANGED = 2
    GONE = 3


class RoleType(StrEnum):
    """A member's role in a group; two digits, as Moodle's importer expects."""

    LEARNER = "01"
    INSTRUCTOR = "02"


class InstitutionRole(StrEnum):
    """A person's role at the school; itslearning's file import requires it.

    ``Staff`` and not ``Faculty``: of the two that IMS Enterprise has for a teacher, itslearning documents this one.
    """

    STUDENT = "Student"
    STAFF = "Staff"


class GroupLevel(StrEnum):
    """What a group represents: one of PIFU-IMS's organisation levels, or a group of persons."""

    OWNER = "owner"
    SCHOOL = "school"
    GROUP = "group"


IDTYPE_PERSON = "1"
"""``member/idtype`` of a person (2 would be a group)."""


class RecordKind(IntEnum):
    """The three kinds of record, in the order that the schema requires in a file."""

    PERSON = 1
    GROUP = 2
    MEMBERSHIP = 3
