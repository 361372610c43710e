"""What the stories of the runbook have in common: a school owner whose learners come and go, and when all is well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count
from typing import Any, LiteralString
from urllib.error import URLError

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from consumers.database import sessions
from consumers.holds.open_holds import open_holds
from consumers.materialize import quarantine_store
from consumers.operations.holds_report import read_hold
from consumers.operations.status_report import StatusReport, report
from deploy.local.postgres import LocalPostgres
from ims.feed.manifest import Manifest
from ims.records.model import PersonRecord
from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.docs.followed_page import FollowedPage
from tests.support.feed_words import member, person
from tests.support.installation import Installation
from tests.support.waiting import until

LEARNERS = 30
STARTED = date(2020, 1, 1)


class Story:
    """An installation with one school owner.

    Attributes:
        installation: its processes run when a story begins.
        is_over: true if the installation is in order again.
    """

    def __init__(self, installation: Installation, server: LocalPostgres, state_server: LocalPostgres) -> None:
        installation.environment["RECONCILE_SOURCE_DSN"] = installation.environment["SOURCE_DSN"]
        self.installation = installation
        installation.environment["MANIFEST_SECONDS"] = "1"
        self.is_over = False
        self._server = server
        self._state_server = state_server
        self._learners = count(1)

    def begin(self) -> None:
        """Set the installation up and wait for the first publication."""
        enrolled: list[Fact] = [fact for n in range(1, LEARNERS + 1) for fact in self.enrolled(n)]
        self.installation.write(an_owner(), a_school(1), a_group(1), *enrolled)
        self.installation.set_up()
        self.installation.start()
        self.installation.first_manifest()

    def enrolled(self, learner: int, **changes: Any) -> tuple[Fact, Fact]:
        """Return the rows of a learner, with changes of the person's row: enrolment n enrols learner n in group 1."""
        return a_person(learner, **changes), an_enrolment(learner, person=learner, group=1, starts_on=STARTED)

    def learner(self) -> int:
        """Return a learner who has not been in a story yet."""
        return next(self._learners)

    def leaves(self, learner: int) -> None:
        """Delete a learner from the source."""
        with self.installation.source.transaction():
            self.installation.source.execute("delete from enrolment where owner_id = 1 and person_id = %s", [learner])
            self.installation.source.execute("delete from person where owner_id = 1 and id = %s", [learner])

    def ends(self, learner: int) -> None:
        """End the enrolment of a learner."""
        row, enrolment = self.enrolled(learner)
        self.installation.write(row, msgspec.structs.replace(enrolment, status="withdrawn"))

    def is_named(self, learner: int, name: str) -> None:
        """Change the family name of a learner."""
        self.installation.write(a_person(learner, family_name=name))

    def comes_back(self, learner: int) -> None:
        """Write a learner into the source again, or as it was at first."""
        self.installation.write(*self.enrolled(learner))

    def is_in(self, learner: int) -> bool:
        """Return True if the importer has the learner in group 1."""
        return member("group-1", learner) in self.installation.published()

    def family_name(self, learner: int) -> str | None:
        """Return the family name under which the importer has the learner."""
        found = self.installation.published().get(person(learner))
        return found.family_name if isinstance(found, PersonRecord) else None

    def loses(self, learner: int) -> None:
        """Let a learner leave by a message that is lost: the source no longer has the learner, and the facts do."""
        self.installation.stop("capture")
        self.leaves(learner)
        self.slot("pg_replication_slot_advance(%s, pg_current_wal_lsn())")
        self.installation.source.execute("update imsfeed.capture set confirmable_lsn = pg_current_wal_lsn()")
        self.installation.start("capture")

    def await_gone(self, *learners: int) -> None:
        """Wait until the importer no longer has these learners."""
        self.await_that(lambda: not any(map(self.is_in, learners)), f"learners {learners} are gone")

    def await_in(self, *learners: int) -> None:
        """Wait until the importer has these learners."""
        self.await_that(lambda: all(map(self.is_in, learners)), f"learners {learners} are in")

    def await_that(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; the logs are in the error's text."""
        until(condition, within=60, what=f"{what}; {self.installation.last_lines()}")

    def slot(self, statement: LiteralString) -> None:
        """Run a function of the source on capture's slot; its name is the only parameter."""
        self.installation.source.execute(f"select {statement}", [self.installation.environment["SOURCE_SLOT"]])

    def manifest(self) -> Manifest:
        """Return the manifest."""
        return self.installation.first_manifest()

    def publishes(self, change: Callable[[int], None], learner: int) -> int:
        """Make a change of a learner, wait until a delta is published, and return the number of the last one."""
        before = self.manifest().head_seq
        change(learner)
        self.await_that(lambda: self.manifest().head_seq > before, "a delta is published")
        return self.manifest().head_seq

    def deltas_as_bytes(self) -> dict[str, bytes]:
        """Return the deltas that the manifest names."""
        return {delta.path: (self.installation.target / delta.path).read_bytes() for delta in self.manifest().deltas}

    def await_halt(self, text: str) -> None:
        """Wait until the target is halted for this reason."""
        self.await_that(lambda: text in str(self.report().targets[0].halt_reason), f"the target is halted: {text}")

    def await_state(self, state: str) -> None:
        """Wait until the target is in this state."""
        self.await_that(lambda: self.report().targets[0].state == state, f"the target is {state}")

    def assigned(self, name: str) -> bool:
        """Return True if a materialize process answers and has a partition."""
        try:
            return self.installation.metric(name, "imsfeed_partitions_assigned") > 0
        except URLError:
            return False

    def has_reconciled(self) -> bool:
        """Return True if compact has reconciled the target."""
        return self.installation.metric("compact", "imsfeed_reconciliation_last_success_timestamp_seconds") > 0

    def report(self) -> StatusReport:
        """Return what `imsfeed status` shows."""
        with sessions.connect(self.installation.environment["STATE_DSN"], "test") as connection:
            return report(connection)

    def await_applied(self) -> None:
        """Wait until a heartbeat that begins now has been applied in every partition."""
        begun = datetime.now(UTC)
        self.await_that(
            lambda: all(one.heartbeat_at and one.heartbeat_at > begun for one in self.report().partitions),
            "every heartbeat arrives",
        )

    def await_captured(self) -> None:
        """Wait until Kafka has every change so far."""
        source, slot = self.installation.source, self.installation.environment["SOURCE_SLOT"]
        now = source.execute("select pg_current_wal_lsn()").fetchone()
        confirmed = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"
        self.await_that(
            lambda: source.execute(confirmed, [*(now or ()), slot]).fetchone() == (True,), "Kafka has every change"
        )

    @contextmanager
    def restored_afterwards(self, *, with_slot: bool) -> Iterator[None]:
        """Copy the source, whose capture is stopped, and put the copy into its place after the block.

        Args:
            with_slot: as after a copy of the disks: the slot is there, and positions are those of the past.
        """
        installation, server = self.installation, self._server
        source = installation.source.info.dbname
        installation.source.close()
        with replaced_afterwards(server, source):
            installation.source = psycopg.connect(server.dsn(source), autocommit=True)
            yield
            installation.source.close()
        installation.source = psycopg.connect(server.dsn(source), autocommit=True)
        if with_slot:
            self.slot("pg_create_logical_replication_slot(%s, 'pgoutput')")
            installation.source.execute("update imsfeed.capture set confirmable_lsn = pg_current_wal_lsn()")
            self.in_state("update imsfeed.topic_partition set commit_lsn = commit_lsn + 1000000000000")

    @contextmanager
    def state_restored_afterwards(self) -> Iterator[None]:
        """Copy the state database, which no process uses, and put the copy into its place after the block."""
        name = str(conninfo_to_dict(self.installation.environment["STATE_DSN"])["dbname"])
        with replaced_afterwards(self._state_server, name):
            yield

    def in_state(self, statement: LiteralString) -> None:
        """Run a statement in the state database."""
        with psycopg.connect(self.installation.environment["STATE_DSN"], autocommit=True) as connection:
            connection.execute(statement)

    def load(self) -> None:
        """Start capture, and wait until it has loaded every table."""
        self.installation.start("capture")
        loaded = "select loaded_at is not null from imsfeed.capture"
        self.await_that(lambda: self.installation.source.execute(loaded).fetchone() == (True,), "the load is complete")

    def in_quarantine(self) -> list[int]:
        """Return the numbers of the messages that are in quarantine and not resolved."""
        with sessions.connect(self.installation.environment["STATE_DSN"], "test") as connection:
            found = quarantine_store.all_quarantined(connection)
        return [message.number for message in found if message.resolved_at is None]

    def approve(self, page: FollowedPage, *learners: int) -> None:
        """Follow a page's block that approves the hold of these learners, and wait until they are gone."""
        with sessions.connect(self.installation.environment["STATE_DSN"], "test") as connection:
            (hold,) = until(lambda: open_holds(connection), within=60, what=f"a hold; {self.installation.last_lines()}")
            waiting = [one.person for one in read_hold(connection, hold.hold_id, datetime.now(UTC)).persons]
        assert (hold.cause, waiting) == ("resync", sorted(learners))
        assert all(map(self.is_in, learners)), "a person in a hold is still in the feed"
        page.give(HOLD=hold.hold_id, DIGEST=hold.digest)
        assert f"approved hold {hold.hold_id}" in page.run()
        self.await_gone(*learners)

    def ends_with_code(self, name: str, code: int, text: str) -> None:
        """Wait until a process has ended by itself with this code, and with this text in its log."""
        assert self.installation.await_end(name) == code
        assert text in self.installation.log(name).read_text()

    def all_is_well(self) -> None:
        """Check that everything is in order, beside the checks that every page ends with."""
        installation = self.installation
        assert "source: ok (0 differences)" in installation.imsfeed("reconcile", "lms")
        assert installation.verification().problems == []
        found = self.report()
        assert ([target.state for target in found.targets], found.quarantine) == (["ok"], [])
        assert sorted(installation.processes) == ["capture", "compact", "materialize"]
        self.is_over = True


@contextmanager
def replaced_afterwards(server: LocalPostgres, database: str) -> Iterator[None]:
    """Copy a database to which no session is connected, and put the copy into its place after the block."""
    server.create_database(f"{database}_copy", database)
    yield
    server.drop_database(database)
    server.create_database(database, f"{database}_copy")
    server.drop_database(f"{database}_copy")
