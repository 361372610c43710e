"""The profiles of the importers: one table of what each of them can take, what suits it, and how it behaves.

A target names its importer (``importer = "moodle"``). The profile's defaults are the values of the keys that the target
does not write itself; its limits and behaviours apply as they are. Each entry has its source; how each importer was
studied, and what its administrator has to do, is on its page in docs/importers.

>>> PROFILES["moodle"].defaults["spell_out_markup"], PROFILES["none"].defaults["spell_out_markup"]
(True, False)
>>> PROFILES["moodle"].needs_login, PROFILES["itslearning"].needs_login
(True, False)
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ims.errors import InvalidSettingsError

Importer = Literal["none", "moodle", "itslearning", "efeide", "iam-core", "fronter", "vigobas"]
"""``none``: an importer of which nothing is known; it gets what most of them can take."""


class Limit(NamedTuple):
    """The greatest number of characters that a text may have, and the source of the limit."""

    characters: int
    source: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One importer.

    Attributes:
        page: its page in docs/importers.
        defaults: values of a target's keys, for those that the target does not write.
        limits: of each field of a record.
        reads: ``deltas``: it does what each record says, and infers nothing from absence or nothing but from a
            snapshot; ``full``: it compares each full file with the one before, and a delta would remove everybody else.
        needs_login: a person without a login gets no account, and none later by an update.
        case_insensitive_ids: two ids that differ only by case, accent or width may be one to it.
        new_then_changed: a new record of what it knows already changes nothing; to be right it must be followed by the
            same record as changed.
        empties_missing_email: an element that is absent leaves the old e-mail address; an empty one removes it.
        keeps_closed_groups: nothing undoes the removal of a group, so that a closed group is emptied instead.
        keeps_absent: what is not in a full file stays as it is.
        keeps_accounts: a removed person keeps the account, without memberships.
        adopts_by_login: an account whose login a new record has gets that record's id, and keeps its memberships; what
            the old id loses must be removed before.
        adds_roles: a new role does not replace the old one, which must be removed before.
        stores_entities: it stores ``&amp;`` as it is in the file.
        drops_unplaced: it passes over a person in no group, and a group whose parent is not in the file.
        sources: where each of these behaviours was seen.
    """

    page: str
    defaults: Mapping[str, Any]
    limits: Mapping[str, Limit]
    reads: Literal["deltas", "full"]
    needs_login: bool = False
    case_insensitive_ids: bool = False
    new_then_changed: bool = False
    empties_missing_email: bool = False
    keeps_closed_groups: bool = False
    keeps_absent: bool = False
    keeps_accounts: bool = False
    adopts_by_login: bool = False
    adds_roles: bool = False
    stores_entities: bool = False
    drops_unplaced: bool = False
    sources: Mapping[str, str] = {}


_DEFAULTS: Final[Mapping[str, Any]] = {
    "org_groups": False,
    "include_without_national_id": False,
    "person_id": "national",
    "login": "feide",
    "shared_login": "omit",
    "dialect": "ims",
    "spell_out_markup": False,
    "export_shape": "absent",
}
PROFILE_KEYS: Final = tuple(_DEFAULTS)
"""The keys of a target whose default is the profile's. ``export_path`` is none: a file's name is the site's."""

_LIMITS: Final[Mapping[str, Limit]] = {
    "id": Limit(100, "Moodle: idnumber of a course; a longer one stops the import"),
    "login": Limit(100, "Moodle: username of a user"),
    "email": Limit(100, "Moodle: email of a user"),
    "given_name": Limit(100, "Moodle: firstname of a user; a longer one stops the import"),
    "family_name": Limit(100, "Moodle: lastname of a user"),
    "short": Limit(60, "IMS Enterprise 1.1 and PIFU-IMS 1.3: description/short"),
    "long": Limit(254, "Moodle: fullname of a course; a longer one stops the import (IMS Enterprise 1.1 allows 256)"),
    "kind": Limit(256, "IMS Enterprise 1.1: grouptype/typevalue"),
    "owner_name": Limit(256, "IMS Enterprise 1.1: org/orgname"),
    "school_name": Limit(255, "Moodle: name of a course category (IMS Enterprise 1.1 allows 256)"),
}
"""The limits of the strictest importer known, for all whose own are not known.

Moodle's limits are the lengths of its database columns. Where it stops the import, one text that is too long would keep
out everything that follows it in the file.
"""

_FULL_PIFU: Final[Mapping[str, Any]] = {**_DEFAULTS, "dialect": "pifu"}
_DIFFS: Final = "compares each full file with the one before, and removes who is absent"

PROFILES: Final[Mapping[Importer, Profile]] = {
    "none": Profile(page="contract.md", defaults=_DEFAULTS, limits=_LIMITS, reads="deltas"),
    "moodle": Profile(
        page="moodle.md",
        # The running number keeps national ids out of Moodle; it makes no account without a login; it stores &amp; as
        # it stands; it infers nothing from absence; and every group becomes a course, whatever it stands for.
        defaults={
            **_DEFAULTS,
            "person_id": "running",
            "shared_login": "exclude",
            "spell_out_markup": True,
            "export_shape": "tombstones",
        },
        limits={**_LIMITS, "short": Limit(254, "Moodle: shortname of a course; a longer one stops the import")},
        reads="deltas",
        needs_login=True,
        case_insensitive_ids=True,
        new_then_changed=True,
        empties_missing_email=True,
        keeps_closed_groups=True,
        keeps_absent=True,
        keeps_accounts=True,
        adopts_by_login=True,
        adds_roles=True,
        stores_entities=True,
        sources={
            "reads": "enrol/imsenterprise of 4.3, run: a file's type is ignored, and what is absent stays",
            "needs_login": "run: no account without userid, and an update of an unknown person is ignored",
            "case_insensitive_ids": "its ids are compared by the database: MySQL's usual collation ignores case",
            "new_then_changed": "run: 1 changes nothing of a known user or course, 2 makes none of an unknown user",
            "empties_missing_email": "run: an update writes the elements that are there; an empty one blanks",
            "keeps_closed_groups": "run: 3 hides a course, keeps its enrolments, and neither 1 nor 2 shows it again",
            "keeps_absent": "run: a snapshot read again removed no person, no course and no enrolment",
            "keeps_accounts": "imsdeleteusers is off, as the page says: a deleted account is not found again",
            "adopts_by_login": "run: the account with that user name silently gets the new id number",
            "adds_roles": "run: a role that is added leaves the old one; removed before it in one file, it is clean",
            "stores_entities": "run: entities are stored as they stand, in names, ids and user names",
        },
    ),
    "itslearning": Profile(
        page="itslearning.md",
        # "Usually national identity number"; its hierarchy is built from relationship elements.
        defaults={**_DEFAULTS, "org_groups": True},
        limits=_LIMITS,
        reads="full",
        sources={"reads": f"developer.itslearning.com, IMS-E import application and filter: it {_DIFFS}"},
    ),
    "efeide": Profile(
        page="eadm-efeide.md",
        # PIFU-IMS lets the account follow a changed national id, which is the key.
        defaults=_FULL_PIFU,
        limits=_LIMITS,
        reads="full",
        drops_unplaced=True,
        sources={
            "reads": f"docs.identum.no, stopped imports: it {_DIFFS}",
            "drops_unplaced": "docs.identum.no: a person in no school and no group is not imported",
        },
    ),
    "iam-core": Profile(
        page="iam-core.md",
        # Its documentation is not public. PIFU-IMS is the profile that Norwegian identity systems share.
        defaults=_FULL_PIFU,
        limits=_LIMITS,
        reads="full",
        sources={"reads": "assumed, as of the other Norwegian identity systems; ask its supplier"},
    ),
    "fronter": Profile(
        page="fronter.md",
        # Parents must come before children in its files, and with org_groups ours are in another order.
        defaults=_DEFAULTS,
        limits=_LIMITS,
        reads="full",
        sources={"reads": "unioslo/cerebrum, source code: its exporters were asked for full files"},
    ),
    "vigobas": Profile(
        page="vigobas.md",
        defaults=_FULL_PIFU,
        limits=_LIMITS,
        reads="full",
        drops_unplaced=True,
        sources={
            "reads": "FINTLabs/vigobas-pifu-ist-ma, source code: any type but full is an exception",
            "drops_unplaced": "the same: persons in no school and groups without their parent are dropped",
        },
    ),
}


def importer_named(name: str) -> Importer:
    """Return the importer with this name.

    Raises:
        InvalidSettingsError: there is none.
    """
    for importer in PROFILES:
        if importer == name:
            return importer
    raise InvalidSettingsError(f"there is no importer {name!r}: it must be one of {', '.join(PROFILES)}")
