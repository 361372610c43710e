"""What every test may ask for; the fixtures themselves are in the files fixture_*.py."""

import os
import signal
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # kafka-python reads its schemas by functions that Python 3.11 and 3.12 call deprecated and 3.13 does not.
    warnings.filterwarnings("ignore", message="(read|open)_text is deprecated", category=DeprecationWarning)
    import kafka  # noqa: F401 - imported here first, so that no other import warns

pytest_plugins = [
    "tests.support.fixtures.postgres",
    "tests.support.fixtures.kafka",
    "tests.support.fixtures.secure_kafka",
    "tests.support.fixtures.logs",
    "tests.support.fixtures.mail",
]


def pytest_configure() -> None:
    # A run that is cancelled stops its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True)
def umask_is_given_back() -> Iterator[None]:
    """Compact keeps what it writes from other users, for its whole process; a test's process lives on."""
    former = os.umask(0o022)
    os.umask(former)
    yield
    os.umask(former)
