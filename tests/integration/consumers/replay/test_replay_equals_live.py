"""One history through the state database and through a replay: the same deltas, the same snapshots.

The state database works out only the persons that a change affects, the replay works out all persons every time.
"""

import random
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.holds.open_holds import open_holds
from consumers.materialize.batch import Outcome, Refused
from consumers.replay import events_file
from consumers.replay.replay import Replay
from ims.source.facts import Fact, Owner
from ims.targets.schedule import next_midnight
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import changed
from tests.support.builders import (
    ORGNR,
    a_birth_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.pipeline import Pipeline

STEPS = 40
PERSONS, GROUPS, SCHOOLS, EMPLOYEES, ENROLMENTS = range(1, 7), range(1, 4), range(1, 3), range(1, 4), range(1, 10)
SETTINGS: tuple[dict[str, Any], ...] = (
    {"person_id": "running"},
    {"person_id": "national"},
    {"group_id": "{code}"},
    {"group_id": "group-{id}"},
    {"include_without_national_id": True},
    {"include_without_national_id": False},
    {"source": "fjordvik"},
    {"login": "email"},
    {"scope": "grunnskole"},
    {"scope": "all"},
    {"excluded_groups": [1]},
    {"excluded_kinds": ["class"]},
    {"lead_days": 2, "grace_days": 2},
    {"dialect": "pifu"},
    {"dialect": "ims"},
    {"export_shape": "absent"},
    {"org_groups": True},
    {"org_groups": False},
)


FIXED: dict[str, Any] = {"export_path": "Eksport.xml", "export_shape": "tombstones"}
TIGHT: dict[str, Any] = {
    "hold_hour_persons": 1,
    "hold_hour_persons_percent": 0,
    "hold_hour_teachers": 0,
    "hold_hour_teachers_percent": 60,
    "hold_hour_id_changes": 1,
    "hold_day_persons": 2,
    "hold_day_persons_percent": 20,
    "hold_day_teachers": 1,
    "hold_day_id_changes": 2,
}
"""Limits by which some of these few persons wait, and some leave."""


class RecordedPipeline(Pipeline):
    """A pipeline that records what is delivered, and when, as lines of a file of events."""

    def __init__(self, dsn: str, folder: Path, dialect: str, **settings: Any) -> None:
        super().__init__(dsn, folder)
        self.lines: list[bytes] = []
        self.first = self.wanted = self.target(**FIXED, dialect=dialect, **settings)
        self.causes: set[str] = set()
        self.rows: dict[tuple[type[Fact], int], Fact] = {}

    def commit(
        self, *facts: Fact, gone: bool = False, whole: bool = True, op: str = "c"
    ) -> tuple[Outcome, list[Refused]]:
        for fact in facts:
            key = (type(fact), fact.owner_id if isinstance(fact, Owner) else fact.id)
            if gone:
                self.rows.pop(key, None)
            else:
                self.rows[key] = fact
        return super().commit(*facts, gone=gone, whole=whole, op=op)

    def load_without(self, chance: random.Random) -> None:
        """Load without some rows, as if they were deleted while capture was down."""
        lost = [key for key, fact in self.rows.items() if not isinstance(fact, Owner) and chance.random() < 0.1]
        for key in lost:
            del self.rows[key]
        self.load(*self.rows.values())

    def pass_time(self, hours: int) -> None:
        """Let hours pass, and publish before and at midnight, as a replay does: departures count from that time.

        The hours are not whole, or a departure could be exactly an hour or a day old, give or take the settling time.
        """
        self.compact(seconds=1)
        midnight = next_midnight(self.now, self.wanted.zone)
        left = timedelta(hours=hours, minutes=7) - (midnight - self.now)
        if left < timedelta():
            self.compact(hours=hours, minutes=7)
        else:
            self.now = midnight
            self.compact()
            self.compact(seconds=left.total_seconds())

    def compact(self, **later: float) -> None:
        super().compact(**later)
        self.causes |= {hold.cause.value for hold in open_holds(self.connection)}

    def deliver(self, *values: bytes | None) -> tuple[Outcome, list[Refused]]:
        self.lines += [events_file.message_line(self.now, value or b"null") for value in values]
        return super().deliver(*values)

    def set(self, changes: dict[str, Any]) -> None:
        self.wanted = changed(self.wanted, changes)
        self.target(**{name: getattr(self.wanted, name) for name in TargetSettings.__struct_fields__})
        self.lines.append(events_file.settings_line(self.now, "lms", changes))


WEIGHTS = (1, 1, 4, 6, 4, 12)
"""The weights of rows of the owner, a school, a group, a person, an employee and an enrolment."""


def a_day(chance: random.Random, now: date) -> date:
    return now + timedelta(days=chance.randint(-2, 2))


def a_fact(chance: random.Random, today: date) -> Fact:
    """Return a random row of the owner, new or in the place of an old one.

    Rows of the owner itself and of schools are rare: they make the state database, too, compare everything.
    """
    some_day = (None, a_day(chance, today))
    makers: tuple[Callable[[], Fact], ...] = (
        lambda: an_owner(orgnr=chance.choice(["100000008"] * 4 + [None]), name=chance.choice(["Fjordvik", "Nordvik"])),
        lambda: a_school(chance.choice(SCHOOLS), school_no=chance.choice(["NO1", "NO2", " "])),
        lambda: a_group(
            chance.choice(GROUPS),
            school=chance.choice((*SCHOOLS, 9)),
            code=chance.choice(["A", "A", "B", ""]),
            programme=chance.choice(["norsk", "grunnskole"]),
            kind=chance.choice(["class", "subject"]),
            starts_on=chance.choice(some_day),
            ends_on=chance.choice(some_day),
            active=chance.random() < 0.9,
        ),
        lambda: a_person(
            number := chance.choice(PERSONS),
            national_id=chance.choice([a_birth_number(n) for n in range(4)] + [a_duf_number(1), "12345678901", None]),
            given_name=chance.choice(["Ada", "Åse", " "]),
            feide_name=chance.choice([f"ada{number}@fjordvik.example", f"ase{number}@fjordvik.example", None]),
            protected=chance.random() < 0.1,
        ),
        lambda: an_employee(
            chance.choice(EMPLOYEES),
            person=chance.choice(PERSONS),
            school=chance.choice(SCHOOLS),
            kind=chance.choice(["teacher", "other"]),
            active=chance.random() < 0.8,
        ),
        lambda: an_enrolment(
            chance.choice(ENROLMENTS),
            person=chance.choice(PERSONS),
            group=chance.choice(GROUPS),
            role=chance.choice(["learner", "learner", "teacher"]),
            starts_on=a_day(chance, today),
            ends_on=chance.choice(some_day),
            status=chance.choice(["active"] * 4 + ["withdrawn"]),
        ),
    )
    return chance.choices(makers, WEIGHTS)[0]()


def run_history(pipeline: RecordedPipeline, chance: random.Random) -> None:
    """Run a history: a roster, then changes one by one and together, half and whole, settings, and passing days."""
    rows: list[Fact] = [a_school(1), a_school(2), *map(a_group, GROUPS), *map(a_person, PERSONS)]
    pipeline.commit(an_owner(), *rows, *(an_enrolment(n, person=n, group=1 + n % 3) for n in PERSONS))
    pipeline.compact(seconds=1)
    for _ in range(STEPS):
        today = pipeline.now.date()
        kind = chance.random()
        if kind < 0.05:
            pipeline.set(chance.choice(SETTINGS))
        elif kind < 0.08:
            pipeline.load_without(chance)
        elif kind < 0.35:
            pipeline.pass_time(chance.randint(6, 13))
        else:
            facts = [a_fact(chance, today) for _ in range(chance.randint(1, 4))]
            pipeline.commit(*facts, gone=chance.random() < 0.15, whole=chance.random() < 0.85)
        if chance.random() < 0.8:
            pipeline.compact(seconds=1)
    pipeline.commit(an_owner())
    pipeline.compact(seconds=1)
    pipeline.pass_time(13)
    pipeline.pass_time(13)


def files(folder: Path) -> dict[str, str]:
    """Return the deltas, snapshots and the file at the fixed path, without the times at which they were made."""
    return {
        path.relative_to(folder).as_posix(): re.sub("<datetime>.*</datetime>", "", path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.xml")
    }


def compared(pipeline: RecordedPipeline, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files that production made of the history, and those that a replay makes."""
    Replay([pipeline.first], folder).run(events_file.read(pipeline.lines, "events"), pipeline.now)
    return files(pipeline.folder()), files(folder / ORGNR / "lms")


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_gives_what_production_gave(state_dsn: str, tmp_path: Path, seed: int) -> None:
    pipeline = RecordedPipeline(state_dsn, tmp_path / "live", "pifu" if seed % 2 else "ims", **TIGHT)
    try:
        run_history(pipeline, random.Random(seed))
        produced, replayed = compared(pipeline, tmp_path / "replay")
    finally:
        pipeline.close()
    assert len(produced) > 5, "the history must have deltas"
    assert pipeline.causes, "the history must have holds"
    assert replayed.keys() == produced.keys()
    assert [name for name in sorted(produced) if replayed[name] != produced[name]] == []


def test_a_moved_national_id_leaves_with_its_new_running_number(state_dsn: str, tmp_path: Path) -> None:
    pipeline = RecordedPipeline(state_dsn, tmp_path / "live", "ims")
    try:
        same = {"national_id": a_birth_number(1), "feide_name": None, "email": None, "family_name": "Testesen"}
        pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1, **same), an_enrolment(1))
        pipeline.compact(seconds=1)
        pipeline.commit(a_person(2, **same), an_enrolment(2, person=2), a_person(1, national_id=None))
        pipeline.compact(seconds=1)
        pipeline.commit(an_enrolment(2, person=2), gone=True)
        pipeline.compact(seconds=1)
        produced, replayed = compared(pipeline, tmp_path / "replay")
    finally:
        pipeline.close()
    assert 'recstatus="3"' in replayed["deltas/1.xml"]
    assert replayed == produced


def test_of_two_persons_with_one_login_the_leaver_is_removed_with_it(state_dsn: str, tmp_path: Path) -> None:
    pipeline = RecordedPipeline(state_dsn, tmp_path / "live", "ims")
    try:
        people = [a_person(n, feide_name="ada@fjordvik.example") for n in (1, 2)]
        pipeline.commit(an_owner(), a_school(1), a_group(1), *people, *(an_enrolment(n, person=n) for n in (1, 2)))
        pipeline.compact(seconds=1)
        pipeline.commit(an_enrolment(1), gone=True)
        pipeline.compact(seconds=1)
        produced, replayed = compared(pipeline, tmp_path / "replay")
    finally:
        pipeline.close()
    assert "ada@" in replayed["deltas/1.xml"], "the other one was never published with it"
    assert replayed == produced
