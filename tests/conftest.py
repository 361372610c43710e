"""Plugins and fixtures of every test; most fixtures are in tests/support/fixtures."""

import os
import signal
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import settings

with warnings.catch_warnings():
    # kafka-python reads its schemas with functions that are deprecated in Python 3.11 and 3.12 but not in 3.13.
    warnings.filterwarnings("ignore", message="(read|open)_text is deprecated", category=DeprecationWarning)
    import kafka  # noqa: F401 - imported here first, so that no other import warns

pytest_plugins = [
    "tests.support.fixtures.postgres",
    "tests.support.fixtures.kafka",
    "tests.support.fixtures.secure_kafka",
    "tests.support.fixtures.logs",
    "tests.support.fixtures.mail",
]


# No test fails because of the time it takes: machines are shared, and a slow example is no defect.
settings.register_profile("imsfeed", deadline=None)
settings.load_profile("imsfeed")


def pytest_configure() -> None:
    # On SIGTERM a run ends as on Ctrl-C, and stops its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True)
def umask_is_restored() -> Iterator[None]:
    """Restore the umask, which compact narrows for its whole process; here other tests follow in the same process."""
    former = os.umask(0o022)
    os.umask(former)
    yield
    os.umask(former)
