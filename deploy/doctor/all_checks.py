"""Runs the checks of every area: an error in one area does not stop the others, and each has a deadline."""

import threading
from collections.abc import Callable
from typing import Final

from deploy.doctor.feed_checks import check_feed
from deploy.doctor.finding import Area, Finding, Findings
from deploy.doctor.kafka_checks import check_kafka
from deploy.doctor.machine_checks import check_machine, check_mail, check_metrics
from deploy.doctor.reconciliation_source_checks import check_reconciliation_source
from deploy.doctor.source_checks import check_source
from deploy.doctor.state_checks import check_state
from deploy.doctor.target_checks import check_targets
from ims.errors import ImsfeedError
from ims.runtime.settings import Settings

AREAS: Final[dict[str, Callable[[Settings], Findings]]] = {
    "machine": check_machine,
    "source": check_source,
    "reconciliation source": check_reconciliation_source,
    "kafka": check_kafka,
    "state": check_state,
    "targets": check_targets,
    "feed": check_feed,
    "mail": check_mail,
    "metrics": check_metrics,
}
DEADLINE_SECONDS: Final = 30.0
"""Longest time for the checks of one area; its servers are given less time to answer."""


def run_checks(
    settings: Settings,
    begun: Callable[[str], None] = lambda _area: None,
    areas: dict[str, Callable[[Settings], Findings]] = AREAS,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[Finding]:
    """Run the checks of every area and return their findings.

    Args:
        settings: the settings of the installation.
        begun: called with the name of each area when its checks begin.
        areas: the checks of each area.
        deadline_seconds: longest time for the checks of one area.
    """
    findings = []
    for name, checks in areas.items():
        begun(name)
        findings += _within(name, checks, settings, deadline_seconds)
    return findings


def _within(name: str, checks: Callable[[Settings], Findings], settings: Settings, seconds: float) -> list[Finding]:
    found: list[Finding] = []

    def run() -> None:
        try:
            # Consumed one by one, so that the findings before an error or the deadline are kept.
            found.extend(checks(settings))
        except ImsfeedError as error:
            found.append(Area(name).error("check", str(error), "fix what the error names"))
        except Exception as error:  # noqa: BLE001 - one area's defect must not hide the other areas' findings
            kind = type(error).__name__
            found.append(Area(name).error("check", f"failed with {kind}", "read the server's log, or report a defect"))

    # A daemon thread: a file system that does not answer cannot be interrupted, and must not keep the command running.
    thread = threading.Thread(target=run, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        fix = "find out what the check waits for: a lock, a disk"
        return [*found, Area(name).error("deadline", f"no result within {seconds:g} s", fix)]
    return found
