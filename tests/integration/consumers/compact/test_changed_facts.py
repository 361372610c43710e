"""What a change of the facts becomes in the next delta."""

from consumers.materialize.unresolved_references import unresolved_references
from consumers.operations.status_report import report
from ims.records.model import PersonRecord
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_duf_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.feed_words import changes, group, id_of, member, person
from tests.support.pipeline import Pipeline

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE


def test_a_leaver_is_removed_from_every_group_in_one_delta(published: Pipeline) -> None:
    published.commit(
        an_enrolment(1, person=1, group=1, status="withdrawn"), an_enrolment(2, person=1, group=2, status="withdrawn")
    )
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {
        (key, GONE) for key in (person(1), member("group-1", 1), member("group-2", 1))
    }
    text = (published.folder() / "deltas/1.xml").read_text()
    assert text.count('recstatus="3">\n        <status>0</status>') == 2
    assert published.manifest().head_seq == 1


def test_a_student_who_leaves_one_group_stays_in_the_other(published: Pipeline) -> None:
    published.commit(an_enrolment(2, person=1, group=2), gone=True)
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {(member("group-2", 1), GONE)}


def test_a_move_in_one_transaction_is_one_delta(published: Pipeline) -> None:
    """Even if the second half arrives long after the first."""
    published.commit(an_enrolment(3, person=2, group=2, status="withdrawn"), whole=False)
    published.compact(seconds=10)
    assert published.manifest().head_seq == 0
    published.commit(an_enrolment(5, person=2, group=1))
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {
        (member("group-2", 2), GONE),
        (member("group-1", 2), NEW),
    }


def test_a_moved_enrolment_leaves_its_former_group_and_person(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=1, group=1))
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {(person(2), GONE), (member("group-2", 2), GONE)}


def test_a_teacher_who_stops_is_removed_with_all_memberships(published: Pipeline) -> None:
    published.commit(an_employee(1, person=3, active=False))
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {(person(3), GONE), (member("group-1", 3), GONE)}


def test_a_removed_group_is_removed_with_its_memberships(published: Pipeline) -> None:
    published.commit(a_group(2, active=False))
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {
        (key, GONE) for key in (group("group-2"), member("group-2", 1), member("group-2", 2), person(2))
    }


def test_a_school_without_a_number_is_removed_after_approval(published: Pipeline) -> None:
    published.commit(a_school(1, school_no=None))
    published.compact(seconds=1)
    published.approve()
    assert {recstatus for _, recstatus in changes(published.delta(1))} == {GONE}
    assert len(published.delta(1)) == 9


def test_a_changed_name_changes_only_the_person_record(published: Pipeline) -> None:
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    ((record, recstatus),) = published.delta(1)
    assert isinstance(record, PersonRecord)
    assert (record.key, record.family_name, recstatus) == (person(2), "Ny", CHANGED)


def test_a_changed_national_id_replaces_the_person_in_one_delta(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=id_of(77)))
    published.compact(seconds=1)
    assert changes(published.delta(1)) == {
        (person(77), NEW),
        (member("group-2", 77), NEW),
        (person(2), GONE),
        (member("group-2", 2), GONE),
    }


def test_a_changed_national_id_is_listed_by_running_number(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=id_of(77)), a_person(1, family_name="Ny"))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [(change.person, change.seq) for change in target.id_changes] == [(2, 1)]
    assert published.metrics.changed_ids._value.get() == 1


def test_warnings_are_kept_while_their_causes_last(published: Pipeline) -> None:
    wrong = f"{a_duf_number()[:-1]}{(int(a_duf_number()[-1]) + 1) % 10}"
    published.commit(a_person(2, national_id=wrong, family_name="N" * 150))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [(one.kind, one.id, one.warning) for one in target.warnings] == [
        ("person", 2, "duf_check_failed"),
        ("person", 2, "name_cut"),
    ]
    published.commit(a_person(2, national_id=wrong))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [one.warning for one in target.warnings] == ["duf_check_failed"]


def test_a_person_who_gets_the_national_id_of_another_is_excluded(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=f"{id_of(1)[:6]} {id_of(1)[6:]}"))
    published.compact(seconds=1)
    assert (person(1), GONE) not in changes(published.delta(1))
    assert (person(2), GONE) in changes(published.delta(1))
    published.commit(a_person(2))
    published.compact(seconds=1)
    assert (person(2), NEW) in changes(published.delta(2))


def test_two_groups_with_one_id_are_both_excluded(pipeline: Pipeline) -> None:
    pipeline.target(group_id="{code}")
    pipeline.commit(an_owner(), a_school(1), a_group(1, code="8A"), a_group(2, code="8A"), a_group(3))
    pipeline.commit(a_person(1), an_enrolment(1, person=1, group=1))
    pipeline.compact()
    assert pipeline.snapshot().keys() == {group("B3")}
    pipeline.commit(a_person(1, family_name="Ny"))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().head_seq == 0
    pipeline.commit(a_group(2, code="8B"))
    pipeline.compact(seconds=1)
    assert changes(pipeline.delta(1)) == {
        (key, NEW)
        for key in (
            person(1),
            group("8A"),
            group("8B"),
            member("8A", 1),
        )
    }


def test_a_protected_person_is_removed_and_stays_removed(published: Pipeline) -> None:
    published.commit(a_person(2, protected=True))
    published.compact(days=2)
    assert (person(2), GONE) in changes(published.delta(1))
    assert person(2) not in published.snapshot()


def test_an_enrolment_may_arrive_before_its_person_and_group(published: Pipeline) -> None:
    published.commit(an_enrolment(9, person=9, group=9))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 0
    assert unresolved_references(published.connection) == 2
    published.commit(a_group(9))
    published.compact(seconds=1)
    published.commit(a_person(9))
    published.compact(seconds=1)
    assert (member("group-9", 9), NEW) in changes(published.delta(2))


def test_every_exclusion_is_stored_with_its_reason(published: Pipeline) -> None:
    published.commit(a_person(5, given_name=" "), an_enrolment(8, person=5, group=1), a_group(7, school=99))
    published.compact(seconds=1)
    rows = published.connection.execute("select kind, id, reason from imsfeed.exclusion").fetchall()
    assert sorted(rows) == [(1, 5, "name_incomplete"), (2, 7, "school_unknown")]
