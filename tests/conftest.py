"""What every test may ask for; the fixtures themselves are in fixture_postgres.py and fixture_kafka.py."""

import signal
import warnings

with warnings.catch_warnings():
    # kafka-python reads its schemas by functions that Python 3.11 and 3.12 call deprecated and 3.13 does not.
    warnings.filterwarnings("ignore", message="(read|open)_text is deprecated", category=DeprecationWarning)
    import kafka  # noqa: F401 - imported here first, so that no other import warns

pytest_plugins = ["tests.fixture_postgres", "tests.fixture_kafka"]


def pytest_configure() -> None:
    # A run that is cancelled stops its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
