"""A scene: one school owner, with processes that have a bug, pause or die; and what is wrong afterwards."""

import contextlib
import os
import signal
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg

from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.runtime.failpoints import EXIT_CODE
from ims.runtime.settings import Settings
from producers.source import source_setup
from tests.chaos.checkers.feed_log import version_of
from tests.chaos.workload.school_owner import SchoolOwner
from tests.support.builders import a_birth_number
from tests.support.installation import Installation
from tests.support.waiting import until

LEARNER = 2
"""The learner who moves or leaves. Learner 3's name is changed to see that everything before has been published."""

_PENDING = (
    "select count(*) from imsfeed.pending_change m join imsfeed.target t using (owner_id)"
    " where owner_id = %s and m.change_id > t.changes_through"
)
_REPLY = (
    "select reply_time from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid"
    " where slot_name = %s"
)
_LAUNCH = "tests.chaos.stack.launch"
_QUIET = "no_heartbeat"


class Scene:
    """One owner in an installation whose processes can be started with *bug* planted in them."""

    def __init__(self, owner: SchoolOwner, bug: str) -> None:
        self.owner = owner
        self.installation: Installation = owner.installation
        self._bug = bug
        self._version = 1
        self._suspect: set[str] = set()

    def start_planted(self, name: str, *conditions: str, command: tuple[str, ...] = (), **environment: str) -> None:
        """Start a process with the bug under these conditions; *command* if it is not the process's name."""
        self._suspect.add(name)
        planted = ",".join([*conditions, self._bug])
        self.installation.launch(name, _LAUNCH, *(command or [name]), PLANTED=planted, **environment)

    def start(self, name: str, condition: str = _QUIET, **environment: str) -> None:
        """Start a process without the bug."""
        if condition == _QUIET:
            self._suspect.discard(name)
        self.installation.launch(name, _LAUNCH, name, PLANTED=condition, **environment)

    def stop(self, *names: str) -> None:
        """Stop processes by SIGTERM."""
        self.installation.stop(*names)

    def kill(self, name: str) -> None:
        """Kill a process, if it is still running."""
        self.installation.stop(name, by=signal.SIGKILL)

    def runs(self, name: str) -> bool:
        """Return True if a process has not ended."""
        return self.installation.processes[name].poll() is None

    def close(self) -> None:
        """Kill all processes that may have the bug, and reap those that have died."""
        for name in list(self.installation.processes):
            if name in self._suspect or not self.runs(name):
                self.kill(name)

    def dies(self, name: str) -> None:
        """Wait until a process has died at its failpoint."""
        assert self.installation.await_end(name) == EXIT_CODE, self.owner.logs()

    def pauses(self, name: str) -> None:
        """Wait until a process has stopped itself."""
        stat = Path(f"/proc/{self.installation.processes[name].pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what=f"{name} pauses; {self.owner.logs()}")

    def wake(self, name: str) -> None:
        """Resume a process that has stopped itself."""
        os.kill(self.installation.processes[name].pid, signal.SIGCONT)

    def await_no_pending_change(self) -> None:
        """Wait until compact has published every pending change."""
        until(lambda: self.owner.state(_PENDING) == 0, what=f"everything is published; {self.owner.logs()}")

    def await_pending_change(self) -> None:
        """Wait until materialize has stored a pending change."""
        until(lambda: self.owner.state(_PENDING) > 0, what=f"there is a pending change; {self.owner.logs()}")

    def await_name(self, person: int, version: int) -> None:
        """Wait until a person is published with this number in the name."""
        self.owner.await_feed(lambda: self._is_named(person, version), f"version {version} of {person} is published")

    def await_all_published(self) -> None:
        """Wait until a change made now is published, and with it everything before it."""
        self.await_name(3, self._rename())

    def capture_refuses(self) -> list[str]:
        """Wait until a change made now is published, or capture ends because it cannot rely on the slot.

        Returns:
            What is wrong, if capture has ended.
        """
        version = self._rename()
        self.owner.await_feed(
            lambda: self._is_named(3, version) or not self.runs("capture"), "a delta, or capture ends"
        )
        if self._is_named(3, version):
            return []
        self.request_load()  # so that the next scenario finds a slot to go on from
        return ["capture finds the slot where it did not leave it"]

    def _rename(self) -> int:
        self._version += 1
        self.installation.write(self.owner.named(3, self._version))
        return self._version

    def _is_named(self, person: int, version: int) -> bool:
        key = RecordKey(RecordKind.PERSON, a_birth_number(person))
        return version_of(self.owner.log.published().get(key)) == version

    def moved(self) -> list[str]:
        """Return what is wrong if the learner was moved from group 1 to group 3."""
        log, owner = self.owner.log, self.owner
        entries = [log.entries(owner.membership(LEARNER, group)) for group in (1, 3)]
        once = [len(found) for found in entries] == [1, 1] and entries[0][0][0] == entries[1][0][0]
        return [*([] if once else [f"the move was published as {entries}"]), *log.problems()]

    def never_published(self) -> list[str]:
        """Return what is wrong if the learner left group 3 again before that could be published."""
        entries = self.owner.log.entries(self.owner.membership(LEARNER, 3))
        return [*([f"published after it was over: {entries}"] if entries else []), *self.owner.log.problems()]

    def join_and_leave(self) -> None:
        """Enrol the learner in group 3 and end that in the next transaction, with a new name."""
        enrolment = self.owner.enrol(LEARNER, 3)
        self.owner.leave(enrolment, LEARNER, 3, self.owner.named(LEARNER, 2))

    def source(self, query: str, *parameters: object) -> Any:
        """Return the one value of *query* in the source; the slot's name comes after the parameters."""
        slot = self.installation.environment["SOURCE_SLOT"]
        row = self.installation.source.execute(query.encode(), [*parameters, slot]).fetchone()
        return row[0] if row else None

    def slot_has_passed(self, lsn: str) -> bool:
        """Return True if capture has confirmed everything up to *lsn*."""
        query = "select confirmed_flush_lsn >= %s::text::pg_lsn from pg_replication_slots where slot_name = %s"
        return bool(self.source(query, lsn))

    def await_report(self) -> None:
        """Wait until capture has reported its position to the source once more."""
        last = until(lambda: self.source(_REPLY), what=f"capture reports; {self.owner.logs()}")
        until(lambda: (self.source(_REPLY) or last) > last, what=f"capture reports again; {self.owner.logs()}")

    def approve(self) -> None:
        """Approve open holds, if there are any, and wait until all is published."""
        self.owner.approve_open_holds()
        self.await_all_published()

    def await_metric(self, name: str, sample: str, value: float) -> None:
        """Wait until a process's metric has reached a value."""
        until(lambda: self._metric(name, sample) >= value, what=f"{sample} is {value}; {self.owner.logs()}")

    def await_metric_or_end(self, name: str, sample: str, value: float) -> None:
        """Wait until a process's metric has reached a value, or it has died."""
        process = self.installation.processes[name]
        until(lambda: process.poll() or self._metric(name, sample) >= value, what=f"{sample}; {self.owner.logs()}")

    def _metric(self, name: str, sample: str) -> float:
        with contextlib.suppress(OSError, HTTPException):  # away, or it died while it answered
            return self.installation.metric(name, sample)
        return -1

    def checked_at(self) -> Any:
        """Return when compact last checked the manifest."""
        manifest = self.owner.log.manifest()
        assert manifest is not None
        return manifest.checked

    def targets(self) -> int:
        """Return how many targets there are; at its start compact writes a manifest for each, this owner's last."""
        return int(self.owner.state("select count(*) from imsfeed.target"))

    def request_load(self) -> None:
        """Request that capture loads everything when it starts."""
        environment = self.installation.environment
        settings = Settings.model_validate({name.lower(): value for name, value in environment.items()})
        with psycopg.connect(environment["SOURCE_DSN"], autocommit=True) as connection:
            source_setup.apply(connection, settings, reload=True)
