"""Existing files of another exporter, with minimal XML, and their comparison with some facts."""

from io import BytesIO

from ims.source.facts import Facts
from ims.switchover.comparison import Comparison, compare
from ims.switchover.existing_file import read_old_file
from ims.switchover.group_templates import likely_templates
from ims.switchover.matching import OldRoster, collect, match_records
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_group,
    a_person,
    a_target,
    an_enrolment,
    facts_of,
)

SOURCE = f"imsfeed@{ORGNR}"


def sourcedid(id_: str, source: str = SOURCE) -> str:
    """Return the element, with our usual source unless another is given."""
    return f"<sourcedid><source>{source}</source><id>{id_}</id></sourcedid>"


def old_person(id_: str, *userids: str, name: str = "Ada Testesen", email: str = "", source: str = SOURCE) -> str:
    """Return a person; *name* is given and family name with a space between."""
    given, _, family = name.partition(" ")
    return (
        f"<person>{sourcedid(id_, source)}{''.join(f'<userid>{userid}</userid>' for userid in userids)}"
        f"<name><fn>{name}</fn><n><family>{family}</family><given>{given}</given></n></name><email>{email}</email></person>"
    )


def old_group(id_: str, short: str = "", long: str = "", school: str = "", source: str = SOURCE) -> str:
    """Return a group."""
    return (
        f"<group>{sourcedid(id_, source)}<description><short>{short}</short><long>{long}</long></description>"
        f"<org><orgunit>{school}</orgunit></org></group>"
    )


def old_member(group: str, person: str, role: str = "01") -> str:
    """Return a membership element with one member."""
    return (
        f"<membership>{sourcedid(group)}<member>{sourcedid(person)}<idtype>1</idtype>"
        f'<role roletype="{role}"><status>1</status></role></member></membership>'
    )


def old_file(*records: str) -> OldRoster:
    """Return a whole file, read."""
    return collect(read_old_file(BytesIO(f"<enterprise>{''.join(records)}</enterprise>".encode())))


def compared(old: OldRoster, facts: Facts, settings: TargetSettings | None = None) -> Comparison:
    """Return the comparison of a file with a target of these facts."""
    settings = settings or a_target()
    matches = match_records(old, facts, [settings.group_id, *likely_templates(old, facts)])
    return compare(old, matches, facts, settings, orgnr=ORGNR, today=TODAY)


FACTS = facts_of(a_person(1), a_group(7), an_enrolment(person=1, group=7))
NUMBER = a_birth_number(1)
LOGIN = "ada1@fjordvik.example"
PERSON, GROUP, MEMBER = old_person(NUMBER, LOGIN), old_group("group-7", "B7"), old_member("group-7", NUMBER)
"""The records of a file that says the same as ``FACTS``."""
