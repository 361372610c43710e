r"""The names by which an importer may find a person's account: the login, and in PIFU-IMS the Feide name.

Importers compare them without regard to case, or store them in lower case (Moodle: ``fixcaseusernames``), so that two
persons whose names differ in nothing else have one account between them.

>>> ada = PersonRecord("imsfeed@100000008", "1001", "ada@fjordvik.example", "Ada", "Li", None, ())
>>> without_names(ada, {"ada@fjordvik.example"}).login is None
True
>>> published_names('<userid useridtype="username">Ada@fjordvik.example</userid>')
Names(login='Ada@fjordvik.example', feide=None)
>>> [len(group) for group in look_alikes(["ada@x", "\u00e1da@x", "\uff41da@x", "bo@x"])]
[3]
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple
from xml.sax.saxutils import unescape

import msgspec

from ims.records.model import PersonRecord, UserId
from ims.records.text import BOUND, clean_identifier

FEIDE_ID: Final = "feideID"
"""``useridtype`` of a Feide name in PIFU-IMS; importers look up a person by it as by the login."""

_LOGIN: Final = re.compile("<userid[^>]*>([^<]*)</userid>")
_NAME: Final = re.compile('<userid(?: useridtype="(username|feideID)")?>([^<]*)</userid>')

_ELEMENT: Final = re.compile(f" *{_NAME.pattern}\n")


def as_compared(name: str) -> str:
    """Return a login or Feide name in the form in which two are the same."""
    return clean_identifier(name).lower()


class Names(NamedTuple):
    """The names by which an importer may find a person's account."""

    login: str | None = None
    feide: str | None = None

    def compared(self) -> "Names":
        """Return the names in the form in which two are the same."""
        return Names(*(None if name is None else as_compared(name) for name in self))

    def both(self) -> set[str]:
        """Return the names that there are."""
        return {name for name in self if name is not None}


def slots_of(record: PersonRecord) -> Names:
    """Return the names in a record, as written."""
    return Names(record.login, next((userid.value for userid in record.userids if userid.type == FEIDE_ID), None))


def with_slots(record: PersonRecord, names: Names) -> PersonRecord:
    """Return the record with these names."""
    others = tuple(userid for userid in record.userids if userid.type != FEIDE_ID)
    feide = () if names.feide is None else (UserId(FEIDE_ID, names.feide),)
    place = next((n for n, userid in enumerate(record.userids) if userid.type == FEIDE_ID), 0)
    return msgspec.structs.replace(record, login=names.login, userids=(*others[:place], *feide, *others[place:]))


def names_of(record: PersonRecord) -> set[str]:
    """Return the names by which an importer may find the person's account, as compared."""
    return slots_of(record).compared().both()


def published_names(text: str) -> Names:
    """Return the names in a person's published text, as written."""
    found = [(type_, unescape(name)) for type_, name in _NAME.findall(text)]
    return Names(
        next((name for _, name in found), None), next((name for type_, name in found if type_ == FEIDE_ID), None)
    )


def published_login(text: str) -> str | None:
    """Return the login in a published person's text, as compared; ``None`` if there is none.

    >>> published_login("<userid>Ada@fjordvik.example</userid>")
    'ada@fjordvik.example'
    """
    found = _LOGIN.search(text)  # fragment() wrote it, and parsing thousands of texts would delay the publication
    return as_compared(unescape(found[1])) if found else None


def without_names(record: PersonRecord, names: Collection[str]) -> PersonRecord:
    """Return the record without those of its login and Feide name that are among *names*."""
    login = None if record.login is not None and as_compared(record.login) in names else record.login
    userids = tuple(
        userid for userid in record.userids if userid.type != FEIDE_ID or as_compared(userid.value) not in names
    )
    return msgspec.structs.replace(record, login=login, userids=userids)


def text_without_names(text: str, names: Collection[str]) -> str:
    """Return a person's text without the elements of those of the names that are among *names*."""
    return _ELEMENT.sub(lambda found: "" if as_compared(unescape(found[2])) in names else found[0], text)


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of names that differ only by case, accents or width, each in order.

    Databases that sort by such rules take them for one (MySQL's ``utf8mb4_0900_ai_ci``, SQL Server's ``CI_AI``).
    """
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        alike[_without_accents(name)].add(name)
    return sorted(sorted(group) for group in alike.values() if len(group) > 1)


def _without_accents(name: str) -> str:
    if name.isascii():
        return name.casefold()
    parts = unicodedata.normalize("NFKD", name[:BOUND].casefold())
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part))).casefold()
