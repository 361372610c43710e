"""The code tables of IMS Enterprise 1.1 that the feed uses, each with its meaning.

Source: IMS Enterprise Information Model and XML Binding 1.1 (recstatus, idtype, roletype, status, institutionrole).

>>> RoleType.INSTRUCTOR.value
'02'
>>> RecStatus.GONE.value
3
"""

from enum import IntEnum, StrEnum


class RecStatus(IntEnum):
    """What a record of a delta asks the importer to do; absent in a snapshot."""

    NEW = 1
    CHANGED = 2
    GONE = 3


class RoleType(StrEnum):
    """What a member is in a group; two digits, as Moodle's importer wants them."""

    LEARNER = "01"
    INSTRUCTOR = "02"


class InstitutionRole(StrEnum):
    """What a person is at the school; itslearning's file import makes it mandatory.

    ``Staff`` rather than ``Faculty``: of the two that IMS Enterprise has for a teacher, itslearning documents this one.
    """

    STUDENT = "Student"
    STAFF = "Staff"


class GroupLevel(StrEnum):
    """What a group stands for: PIFU-IMS's organisation levels, and all others."""

    OWNER = "owner"
    SCHOOL = "school"
    GROUP = "group"


IDTYPE_PERSON = "1"
"""``member/idtype`` of a person (2 would be a group)."""


class RecordKind(IntEnum):
    """The three kinds of record, in the order the schema demands of a file."""

    PERSON = 1
    GROUP = 2
    MEMBERSHIP = 3
