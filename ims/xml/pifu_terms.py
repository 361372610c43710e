"""The code values and length limits of PIFU-IMS 1.3 that differ from plain IMS Enterprise 1.1.

Source: PIFU-IMS, specification and schema, version 1.3 (Utdanningsdirektoratet, pifu-ims).

>>> group_type(GroupRecord("imsfeed@100000008", "g", "class", "8A", "8A", "", "", None, None)).value
'basisgruppe'
"""

from typing import Final, NamedTuple

from ims.records.model import GroupRecord
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel

SHORT_LIMIT: Final = 60
"""Characters of ``description/short``."""
LONG_LIMIT: Final = 256
"""Characters of ``description/long``, of each part of a name, of an e-mail address, and of a ``userid``."""
FULL_LIMIT: Final = 2048
"""Characters of ``description/full``."""
EMAIL: Final = r".+@.+\..+"
"""The pattern of an e-mail address; one that does not match is not written."""
SUBROLE_ADULT: Final = "V"
"""``role/subrole`` of a learner who is an adult (voksen), as all learners of adult education are."""


class GroupType(NamedTuple):
    """``grouptype``: the scheme that defines the type, and the type's number and name there."""

    scheme: str
    level: str
    value: str


BASE_GROUP: Final = GroupType("pifu-ims-go-grp", "1", "basisgruppe")
TEACHING_GROUP: Final = GroupType("pifu-ims-go-grp", "2", "undervisningsgruppe")
ORGANISATIONS: Final = {
    GroupLevel.OWNER: GroupType("pifu-ims-go-org", "1", "skoleeier"),
    GroupLevel.SCHOOL: GroupType("pifu-ims-go-org", "2", "skole"),
}
CLASS: Final = "class"
"""The kind of a group that is a base group (basisgruppe); PIFU-IMS has no types for adult education."""


def group_type(group: GroupRecord) -> GroupType:
    """Return the type of a group: an organisation's by its level, a base group for a class, else a teaching group."""
    if group.level in ORGANISATIONS:
        return ORGANISATIONS[group.level]
    return BASE_GROUP if clean_text(group.kind) == CLASS else TEACHING_GROUP
