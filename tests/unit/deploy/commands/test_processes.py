"""`imsfeed run`: what the platform is told about a process that refuses to run."""

import contextlib
import json
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from deploy.commands.processes import answer_for
from deploy.local.process import free_port
from deploy.probe import complaint
from ims.runtime.monitoring import Health, serve


@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_the_probes_of_a_process_that_refuses_say_so(path: str) -> None:
    port = free_port()
    with contextlib.ExitStack() as stand_ins:
        answer_for(stand_ins, "capture", "127.0.0.1", port)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}")
    assert error.value.code == 503
    said = json.loads(error.value.read())
    assert (said["status"], "capture has ended with exit code 2" in said["why"]) == ("refuses to run", True)


def test_a_container_is_unhealthy_if_one_of_its_processes_refuses() -> None:
    with serve("127.0.0.1", 0, CollectorRegistry(), Health(60, lambda: 0)) as first:
        assert complaint(first) is None, "a container may have one process alone"
        with contextlib.ExitStack() as stand_ins:
            answer_for(stand_ins, "compact", "127.0.0.1", first + 2)
            assert "compact has ended" in str(complaint(first))
    assert "port" in str(complaint(first))


def test_a_taken_port_of_a_process_that_refuses_ends_nothing() -> None:
    with (
        serve("127.0.0.1", 0, CollectorRegistry(), Health(60, lambda: 0)) as port,
        contextlib.ExitStack() as stand_ins,
        capture_logs() as lines,
    ):
        answer_for(stand_ins, "capture", "127.0.0.1", port)
    assert [line["event"] for line in lines] == ["probes cannot be answered"]
