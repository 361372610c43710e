"""`imsfeed capture`, `materialize`, `compact`: the three processes; `imsfeed run`: all of them in one container."""

import gc
import sys
import time
from collections.abc import Callable
from typing import Final

import typer
from prometheus_client import CollectorRegistry

from consumers.compact import process as compact_process
from consumers.materialize import process as materialize_process
from deploy.process_names import PROCESSES
from ims.runtime.lifecycle import Stop, stop_on_signals
from ims.runtime.logs import configure, get_logger
from ims.runtime.metrics import CaptureMetrics, CompactMetrics, MaterializeMetrics, ProcessMetrics
from ims.runtime.monitoring import Health, serve
from ims.runtime.settings import Settings, read_settings, world_readable_secrets
from ims.runtime.supervisor import supervise
from producers.capture import process as capture_process

_OBJECTS: Final = 50_000
"""Allocations between two looks for garbage, instead of 700."""
_TURN_SECONDS: Final = {"materialize": 0.0005, "compact": 0.0002}
"""How long one thread computes while another one could. By default it would be 5 ms: the thread that applies a batch
waits for PostgreSQL a dozen times, one that makes a cut fifty times, and each time it would wait for its turn too."""


Run = Callable[[Settings, Stop, Callable[[bool], None]], None]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    for command in (capture, materialize, compact, run):
        app.command()(command)


def capture() -> None:
    """Publish the source database's committed changes to Kafka, until stopped.

    Example: [bold]SOURCE_DSN=postgresql://capture@db/school imsfeed capture[/bold]
    """
    registry = CollectorRegistry()
    metrics = CaptureMetrics(registry)
    _live("capture", registry, metrics, lambda s, stop, ready: capture_process.run(s, stop, metrics, ready))


def materialize() -> None:
    """Apply the change events in Kafka to the state database, until stopped.

    Example: [bold]STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed materialize[/bold]
    """
    registry = CollectorRegistry()
    settings = read_settings()
    metrics = MaterializeMetrics(registry, settings.kafka_partitions, settings.kafka_topic)
    _live("materialize", registry, metrics, lambda s, stop, ready: materialize_process.run(s, stop, metrics, ready))


def compact() -> None:
    """Write snapshots and deltas of every enabled target from the state database, until stopped.

    Example: [bold]FEED_DIRECTORY=/feed STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed compact[/bold]
    """
    registry = CollectorRegistry()
    metrics = CompactMetrics(registry, compact_process.EXCLUDED_SERIES)
    _live("compact", registry, metrics, lambda s, stop, ready: compact_process.run(s, stop, metrics, ready))


def run() -> None:
    """Run capture, materialize and compact together, restarting whichever fails, until stopped.

    For small installations. Their /metrics are at METRICS_PORT and the two ports after it, in that order.

    Example: [bold]imsfeed run[/bold]
    """
    settings = read_settings()
    configure("run", settings.log_level)
    commands = {name: [sys.executable, "-m", "deploy", name] for name in PROCESSES}
    ports = {name: {"METRICS_PORT": str(settings.metrics_port + n)} for n, name in enumerate(PROCESSES)}
    with stop_on_signals() as stop:
        code = supervise(commands, stop, ports, get_logger(__name__))
    raise typer.Exit(code)


def set_up_interpreter(name: str) -> None:
    """Let threads of the process *name* take short turns, and look for cycles seldom, if either pays there.

    A batch or a cut has tens of thousands of objects, which are in none and all live as long.
    """
    if name in _TURN_SECONDS:
        sys.setswitchinterval(_TURN_SECONDS[name])
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS)


def _live(name: str, registry: CollectorRegistry, metrics: ProcessMetrics, process: Run) -> None:
    """Live as the process *name*: logs, metrics and probes, and a clean stop on SIGTERM or Ctrl-C."""
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
            log.warning("secret files that everybody may read", settings=loose)
        try:
            process(settings, stop, ready)
        except Exception:
            if not stop:
                raise
            # Asked to stop while a server was away: nothing is lost, and nobody needs to look.
            log.warning("stopped during an outage")
        log.info("stopped")
