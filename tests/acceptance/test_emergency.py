"""An emergency while all processes run: the real commands, on PostgreSQL and Kafka."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ims.records.model import RecordKey
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import member, person
from tests.support.installation import Installation, installed
from tests.support.waiting import until

STARTED = date(2020, 1, 1)


@pytest.fixture
def installation(source_dsn: str, state_dsn: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Installation]:
    with installed(source_dsn, state_dsn, kafka, topic, tmp_path) as installation:
        yield installation


def test_a_suppressed_person_stays_removed_until_another_person_undoes_it(installation: Installation) -> None:
    installation.write(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2))
    places = [an_enrolment(n, person=1, group=n, starts_on=STARTED) for n in (1, 2)]
    installation.write(*places, an_enrolment(3, person=2, group=1, starts_on=STARTED))
    installation.set_up()
    installation.start()
    installation.first_manifest()

    order = ("suppress", "1", "1", "--reason", "address is to be protected", "--name")
    assert "lms: the next delta removes the person" in installation.imsfeed(*order, "Kari")
    all_of_1: set[RecordKey] = {person(1), member("group-1", 1), member("group-2", 1)}
    (delta,) = until(installation.deltas, what=f"a delta; {installation.last_lines()}")
    assert {(record.key, status) for record, status in delta} == {(key, RecStatus.GONE) for key in all_of_1}

    installation.write(a_person(1, given_name="Ny"), an_enrolment(4, person=1, group=2, starts_on=STARTED))
    installation.write(a_person(2, given_name="Etter"))
    until(
        lambda: len(installation.deltas()) == 2, what=f"the change after it was published; {installation.last_lines()}"
    )
    assert not all_of_1 & installation.published().keys()

    assert "another person must take it back" in installation.imsfeed(*order, "Kari", "--undo", code=2)
    assert "has no leave-now order" in installation.imsfeed("leave-now", "1", "1", "--reason", "x", "--undo", code=1)
    installation.imsfeed(*order, "Ola", "--undo")
    until(lambda: all_of_1 <= installation.published().keys(), what=f"the person is back; {installation.last_lines()}")
    assert installation.verification().problems == []
