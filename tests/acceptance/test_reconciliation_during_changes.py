"""The reconciliation by the real commands, on PostgreSQL and Kafka, while the source keeps changing."""

import random
import threading
from datetime import date
from pathlib import Path

from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.installation import Installation, installed
from tests.support.waiting import until

STARTED = date(2020, 1, 1)


def test_a_reconciliation_during_changes_reports_no_difference(
    source_dsn: str, state_dsn: str, kafka: str, topic: str, tmp_path: Path
) -> None:
    with installed(source_dsn, state_dsn, kafka, topic, tmp_path) as installation:
        installation.environment["RECONCILE_SOURCE_DSN"] = source_dsn
        learners: list[Fact] = [a_person(n) for n in range(1, 40)]
        enrolled = [an_enrolment(n, person=n, group=1 + n % 3, starts_on=STARTED) for n in range(1, 40)]
        installation.write(an_owner(), a_school(1), *(a_group(n) for n in (1, 2, 3)), *learners, *enrolled)
        installation.set_up()
        installation.start()
        installation.first_manifest()

        stop = threading.Event()
        changing = threading.Thread(target=change_until, args=(installation, stop))
        changing.start()
        try:
            outputs = [installation.imsfeed("reconcile", "lms") for _ in range(2)]
        finally:
            stop.set()
            changing.join()
        for output in outputs:
            assert [line for line in output.splitlines() if "differences)" in line] == [
                f"{check}: ok (0 differences)" for check in ("files", "rules", "source")
            ]
        assert (installation.manifest() or installation.first_manifest()).head_seq > 0
        # Compact has reconciled the target's first snapshot by itself.
        until(
            lambda: (
                installation.metric("compact", "imsfeed_reconciliation_attempts_total") >= 1
                and installation.metric("compact", "imsfeed_reconciliation_last_success_timestamp_seconds") > 0
            ),
            what="compact has reconciled the target",
        )
        assert installation.metric("compact", 'imsfeed_reconciliation_differences{check="source"}') == 0


def change_until(installation: Installation, stop: threading.Event) -> None:
    """Move, rename and withdraw learners many times a second, until *stop*."""
    chance = random.Random(1)
    while not stop.wait(0.05):
        n = chance.randrange(1, 40)
        status = chance.choice(["active", "withdrawn"])
        installation.write(
            a_person(n, family_name=f"Testesen {chance.randrange(100)}"),
            an_enrolment(n, person=n, group=1 + chance.randrange(3), starts_on=STARTED, status=status),
        )
