"""The checks of the targets, each with a fault planted in a healthy installation."""

from typing import Any

import psycopg

from deploy.doctor.target_checks import check_targets
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines
from tests.support.installation import Installation


def test_halted_and_late_targets_are_found(
    healthy: Installation, settings: Settings, state: psycopg.Connection[Any]
) -> None:
    healthy.stop("compact")
    state.execute(
        "insert into imsfeed.published (target_id, kind, id, member, person_id, xml)"
        " select target_id, 1, n, '', n::int, '<userid useridtype=\"username\">' || login || '</userid>'"
        " from imsfeed.target, (values ('71', 'åse@x'), ('72', 'ase@x')) as two (n, login)"
    )
    state.execute(
        "insert into imsfeed.published (target_id, kind, id, member, xml)"
        " select target_id, 2, id, '', '' from imsfeed.target, (values ('8A'), ('8a')) as two (id)"
    )
    state.execute("update imsfeed.target set snapshot_through = snapshot_through - 3, orgnr = '999999999'")
    state.execute(
        "insert into imsfeed.reconciliation (target_id, reconciled_at, checked, outcome, differences, details)"
        " select target_id, now(), 'rules', 'differs', 1, '{person 7}' from imsfeed.target"
    )
    found = lines(check_targets(settings))
    assert found["1/lms logins"] == ("warning", "1 differ only by accents or width, of persons 72, 71")
    assert found["1/lms group ids"] == ("warning", "1 differ only by case, accents or width: 8A, 8a")
    assert found["1/lms"] == ("error", "stale")
    assert found["1/lms snapshot"][0] == "error"
    assert found["1/lms reconciliation of rules"] == ("error", "differs: person 7")
    healthy.imsfeed("targets", "set", "lms", "importer_sync_time=02:30")
    assert lines(check_targets(settings))["1/lms importer deadline"][0] == "warning"
    healthy.imsfeed("targets", "set", "lms", "enabled=false")
    assert lines(check_targets(settings))["targets"][0] == "warning"
