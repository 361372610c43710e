"""`imsfeed capture`, `materialize` and `compact` run one of the three processes, `imsfeed run` all of them together."""

import contextlib
import gc
import math
import sys
import time
from collections.abc import Callable
from typing import Final

import typer
from prometheus_client import CollectorRegistry

from consumers.compact import process as compact_process
from consumers.materialize import process as materialize_process
from deploy.commands.exit_codes import WRONG_SETTINGS, exits
from deploy.process_names import PROCESSES
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop, stop_on_signals
from ims.runtime.logs import configure, get_logger
from ims.runtime.metrics import CaptureMetrics, CompactMetrics, MaterializeMetrics, ProcessMetrics
from ims.runtime.monitoring import Health, serve
from ims.runtime.settings import Settings, read_settings, world_readable_secrets
from ims.runtime.supervisor import supervise
from producers.capture import process as capture_process

_OBJECTS: Final = 50_000
"""Allocations between two runs of the garbage collector, instead of Python's 700."""
_TURN_SECONDS: Final = {"materialize": 0.0005, "compact": 0.0002}
"""The interpreter's switch interval: how long one thread computes while another could. Python's default is 5 ms. The
thread that applies a batch waits for PostgreSQL a dozen times, the thread that publishes a delta fifty times, and after
each answer it would wait for its turn as well."""


Run = Callable[[Settings, Stop, Callable[[bool], None]], None]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    for command in (capture, materialize, compact, run):
        app.command(epilog=exits(more=" or only an operator can let it go on"))(command)


def capture() -> None:
    """Publish the source database's committed changes to Kafka, until stopped.

    Example: [bold]SOURCE_DSN=postgresql://capture@db/school imsfeed capture[/bold]
    """
    registry = CollectorRegistry()
    metrics = CaptureMetrics(registry)
    _run_process("capture", registry, metrics, lambda s, stop, ready: capture_process.run(s, stop, metrics, ready))


def materialize() -> None:
    """Apply the change events in Kafka to the state database, until stopped.

    Example: [bold]STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed materialize[/bold]
    """
    registry = CollectorRegistry()
    settings = read_settings()
    metrics = MaterializeMetrics(registry, settings.kafka_partitions, settings.kafka_topic)
    _run_process(
        "materialize", registry, metrics, lambda s, stop, ready: materialize_process.run(s, stop, metrics, ready)
    )


def compact() -> None:
    """Write the snapshots and deltas of every enabled target from the state database, until stopped.

    Example: [bold]FEED_DIRECTORY=/feed STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed compact[/bold]
    """
    registry = CollectorRegistry()
    metrics = CompactMetrics(registry, compact_process.EXCLUDED_SERIES)
    _run_process("compact", registry, metrics, lambda s, stop, ready: compact_process.run(s, stop, metrics, ready))


def run() -> None:
    """Run capture, materialize and compact together until stopped, and restart a process that fails.

    One that refuses to run (exit code 2) is not restarted; the others go on, and its /healthz says that it refuses.

    For small installations. Their /metrics are at METRICS_PORT and the two ports after it, in that order.

    Example: [bold]imsfeed run[/bold]
    """
    settings = read_settings()
    configure("run", settings.log_level)
    commands = {name: [sys.executable, "-m", "deploy", name] for name in PROCESSES}
    ports = {name: {"METRICS_PORT": str(settings.metrics_port + n)} for n, name in enumerate(PROCESSES)}
    with contextlib.ExitStack() as stand_ins, stop_on_signals() as stop:

        def stand_in(name: str) -> None:
            port = int(ports[name]["METRICS_PORT"])
            answer_for(stand_ins, name, settings.metrics_host, port)

        code = supervise(commands, stop, ports, get_logger(__name__), stand_in)
    raise typer.Exit(code)


def answer_for(stand_ins: contextlib.ExitStack, name: str, host: str, port: int) -> None:
    """Answer the probes of a process that refuses to run, so that its container is unhealthy and says why."""
    health = Health(math.inf, time.time)
    health.refusal = f"{name} has ended with exit code {WRONG_SETTINGS}; the last line of its log says what to do"
    try:
        stand_ins.enter_context(serve(host, port, CollectorRegistry(), health))
    except InvalidSettingsError as error:  # its port may be the very reason
        get_logger(__name__).error("probes cannot be answered", name=name, error=str(error))


def set_up_interpreter(name: str) -> None:
    """Shorten the turns of threads and make garbage collection rare, in those processes (by *name*) that gain from it.

    A batch or a delta consists of tens of thousands of objects that form no cycles and are freed together: each run of
    the collector would walk through all of them and find nothing.
    """
    if name in _TURN_SECONDS:
        sys.setswitchinterval(_TURN_SECONDS[name])
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS)


def _run_process(name: str, registry: CollectorRegistry, metrics: ProcessMetrics, process: Run) -> None:
    """Run the process *name* with its logs, metrics and probes, and stop it cleanly on SIGTERM or Ctrl-C."""
    set_up_interpreter(name)
    settings = read_settings()
    configure(name, settings.log_level)
    log = get_logger(__name__)
    health = Health(settings.stall_seconds, time.time)
    metrics.ticked = health.tick

    def ready(value: bool) -> None:
        health.ready = value

    with stop_on_signals() as stop, serve(settings.metrics_host, settings.metrics_port, registry, health) as port:
        log.info("started", metrics_port=port)
        if loose := world_readable_secrets():
            log.warning("secret files are readable by every user", settings=loose)
        try:
            process(settings, stop, ready)
        except Exception:
            if not stop:
                raise
            # Asked to stop while a server was unreachable: nothing is lost, and no operator needs to act.
            log.warning("stopped during an outage")
        log.info("stopped")
