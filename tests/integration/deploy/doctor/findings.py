"""Findings by check, and the settings of an installation, for the tests of the doctor."""

from collections.abc import Iterable
from typing import Any

from deploy.doctor.finding import Finding
from ims.runtime.settings import Settings
from tests.support.installation import Installation

Lines = dict[str, tuple[str, str]]


def lines(findings: Iterable[Finding]) -> Lines:
    """Return status and text by check."""
    return {finding.check: (finding.status, finding.text) for finding in findings}


def settings_of(installation: Installation, **changes: Any) -> Settings:
    """Return the settings with which an installation's processes run, with changes."""
    names = {name.upper() for name in Settings.model_fields}
    given = {name.lower(): value for name, value in installation.environment.items() if name in names}
    return Settings.model_validate(given | changes)
