"""The logs as a process writes them."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from ims.runtime import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Configured logs, and what they said; afterwards all is as it was."""
    root, hooks = logging.root, (sys.excepthook, threading.excepthook)
    former = root.handlers[:], root.level
    logs.configure("capture", "info")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = former[0]
    root.setLevel(former[1])
    sys.excepthook, threading.excepthook = hooks
