"""The feed of a target whose importer is Moodle, from events to files."""

from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from tests.support.builders import a_group, a_person, a_target, an_employee, an_enrolment
from tests.support.events import Replayer, Scenario
from tests.unit.consumers.replay.published_records import HOUR

NEW, CHANGED, GONE = RecStatus
MOODLE = a_target(importer="moodle", export_path="Eksport.xml")
OLD_TEACHER = '<role roletype="02" recstatus="3">\n        <status>0</status>'
LEARNER = '<role roletype="01">\n        <status>1</status>'


def steps(replayer: Replayer, seq: int) -> list[tuple[RecordKind, str, RecStatus | None]]:
    return [(one.record.key.kind, one.record.key[1], one.recstatus) for one in replayer.delta(seq)]


def export(replayer: Replayer) -> str:
    return (replayer.folder() / "Eksport.xml").read_text(encoding="utf-8")


def test_a_person_comes_as_new_when_there_is_a_login(replayer: Replayer, scenario: Scenario) -> None:
    nameless = a_person(4, feide_name=None, email=None)
    scenario.commit(1, nameless, an_enrolment(7, person=4), an_enrolment(8, person=4, group=2))
    scenario.commit(HOUR, a_person(4, feide_name=None))
    result = replayer.replay(scenario, MOODLE)
    assert result.targets[0].excluded == {}
    assert steps(replayer, 1) == [
        (RecordKind.PERSON, "4", NEW),
        (RecordKind.PERSON, "4", CHANGED),
        (RecordKind.MEMBERSHIP, "group-1", NEW),
        (RecordKind.MEMBERSHIP, "group-2", NEW),
    ]


def test_a_person_without_login_has_a_reason_of_their_own(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, a_person(1, feide_name=None, email=None))
    result = replayer.replay(scenario, MOODLE)
    assert result.targets[0].excluded == {(RecordKind.PERSON, Reason.NO_LOGIN): 1}
    assert ("1", GONE) in {(id_, status) for _, id_, status in steps(replayer, 1)}


def test_a_group_that_closes_is_never_hidden(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, a_group(1, active=False))
    scenario.commit(HOUR, a_group(1, name="Norsk B1 kveld"))
    replayer.replay(scenario, MOODLE)
    assert {kind for kind, _, _ in steps(replayer, 1)} >= {RecordKind.MEMBERSHIP}
    assert (RecordKind.GROUP, "group-1", GONE) not in steps(replayer, 1)
    assert replayer.manifest().deltas[0].closed_groups == ("group-1",)
    assert [status for kind, _, status in steps(replayer, 2) if kind is RecordKind.GROUP] == [NEW, CHANGED]


def test_a_closed_group_is_not_in_the_file_at_the_fixed_path(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, a_group(1, active=False))
    replayer.replay(scenario, MOODLE)
    groups = export(replayer).split("<membership>")[0]
    assert "group-1" not in groups
    assert 'recstatus="3"' in export(replayer), "its members are"


def a_teacher_who_becomes_a_learner(scenario: Scenario) -> None:
    scenario.commit(1, an_employee(5, person=2), an_enrolment(2, person=2, role="teacher"))
    scenario.commit(HOUR, an_employee(5, person=2, active=False), an_enrolment(2, person=2, role="learner"))


def test_the_old_role_is_gone_before_the_new_one(replayer: Replayer, scenario: Scenario) -> None:
    a_teacher_who_becomes_a_learner(scenario)
    replayer.replay(scenario, MOODLE)
    text = export(replayer)
    assert text.count(OLD_TEACHER) == 1
    assert LEARNER in text[text.index(OLD_TEACHER) :].split("</member>")[1]


def test_the_old_role_is_gone_without_a_profile_too(replayer: Replayer, scenario: Scenario) -> None:
    a_teacher_who_becomes_a_learner(scenario)
    replayer.replay(scenario, a_target(export_path="Eksport.xml", export_shape="tombstones"))
    assert export(replayer).count(OLD_TEACHER) == 1


def test_who_returns_in_another_role_has_lost_the_old_one(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_employee(5, person=2), an_enrolment(2, person=2, role="teacher"))
    scenario.commit(HOUR, an_enrolment(2, person=2, role="teacher"), op="d")
    scenario.commit(2 * HOUR, an_employee(5, person=2, active=False), an_enrolment(12, person=2, role="learner"))
    replayer.replay(scenario, MOODLE)
    assert export(replayer).count(OLD_TEACHER) == 1


def test_a_role_that_is_back_is_not_gone(replayer: Replayer, scenario: Scenario) -> None:
    a_teacher_who_becomes_a_learner(scenario)
    scenario.commit(2 * HOUR, an_employee(5, person=2), an_enrolment(2, person=2, role="teacher"))
    replayer.replay(scenario, MOODLE)
    assert OLD_TEACHER not in export(replayer)
