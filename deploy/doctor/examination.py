"""All checks, area by area: none stops another, and none is waited for without end."""

import threading
from collections.abc import Callable
from typing import Final

from deploy.doctor.feed_checks import check_feed
from deploy.doctor.finding import Area, Finding, Findings
from deploy.doctor.kafka_checks import check_kafka
from deploy.doctor.machine_checks import check_machine, check_mail, check_metrics
from deploy.doctor.source_checks import check_reconciliation_source, check_source
from deploy.doctor.state_checks import check_state
from deploy.doctor.target_checks import check_targets
from ims.errors import ImsfeedError
from ims.runtime.settings import Settings

AREAS: Final[dict[str, Callable[[Settings], Findings]]] = {
    "machine": check_machine,
    "source": check_source,
    "proof source": check_reconciliation_source,
    "kafka": check_kafka,
    "state": check_state,
    "targets": check_targets,
    "feed": check_feed,
    "mail": check_mail,
    "metrics": check_metrics,
}
DEADLINE_SECONDS: Final = 30.0
"""Longest time for one area; its servers are given less to answer."""


def examine(
    settings: Settings,
    begun: Callable[[str], None] = lambda _area: None,
    areas: dict[str, Callable[[Settings], Findings]] = AREAS,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[Finding]:
    """Run every check.

    Args:
        begun: told each area when it begins.
        areas: what to look at.
        deadline_seconds: longest time for one area.
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
            # One by one, so that what was found before an error or the deadline is kept.
            found.extend(checks(settings))
        except ImsfeedError as error:
            found.append(Area(name).wrong("check", str(error), "mend what it names"))
        except Exception as error:  # noqa: BLE001 - one area's defect must not hide the others
            kind = type(error).__name__
            found.append(Area(name).wrong("check", f"ended by {kind}", "look at the server's own log, or report this"))

    # A daemon: a file system that does not answer cannot be interrupted.
    thread = threading.Thread(target=run, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        late = Area(name).wrong("deadline", f"no answer within {seconds:g} s", "see what it waits for: a lock, a disk")
        return [*found, late]
    return found
