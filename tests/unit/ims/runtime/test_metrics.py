"""The metrics: every series from the start, and a description of each."""

import re
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from ims.runtime.metrics import CaptureMetrics, CompactMetrics, MaterializeMetrics, ProcessMetrics, descriptions

PROCESSES: list[Callable[[CollectorRegistry], ProcessMetrics]] = [CaptureMetrics, MaterializeMetrics, CompactMetrics]


def _samples(registry: CollectorRegistry) -> list[Sample]:
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    return [one for one in samples if one.name.startswith("imsfeed_") and not one.name.endswith("_created")]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_series_starts_at_zero(process: Callable[[CollectorRegistry], ProcessMetrics]) -> None:
    registry = CollectorRegistry()
    process(registry)
    samples = [sample for sample in _samples(registry) if sample.name != "imsfeed_build_info"]
    assert len(samples) >= 15
    assert {sample.value for sample in samples} == {0}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_metric_has_a_series(process: Callable[[CollectorRegistry], ProcessMetrics]) -> None:
    registry = CollectorRegistry()
    process(registry)
    assert {metric.name for metric in registry.collect() if not metric.samples} <= {"imsfeed_excluded"}


@pytest.mark.parametrize(
    ("process", "name"),
    [(CaptureMetrics, "capture"), (MaterializeMetrics, "materialize"), (CompactMetrics, "compact")],
)
def test_the_build_info_has_version_and_process(
    process: Callable[[CollectorRegistry], ProcessMetrics], name: str
) -> None:
    registry = CollectorRegistry()
    process(registry)
    labels = {"version": version("imsfeed"), "process": name}
    assert registry.get_sample_value("imsfeed_build_info", labels) == 1


def test_a_process_records_the_last_round_of_its_loop() -> None:
    registry = CollectorRegistry()
    CaptureMetrics(registry).alive(1_764_000_000.5)
    assert registry.get_sample_value("imsfeed_last_progress_timestamp_seconds") == 1_764_000_000.5


def test_a_round_of_the_loop_ticks_the_health() -> None:
    metrics, ticks = CaptureMetrics(CollectorRegistry()), list[float]()
    metrics.ticked = ticks.append
    metrics.alive(1_764_000_000)
    assert ticks == [1_764_000_000]


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_start_time_shows_a_restart() -> None:
    registry = CollectorRegistry()
    CompactMetrics(registry)
    assert registry.get_sample_value("process_start_time_seconds")


def test_every_table_and_operation_is_counted_from_the_start() -> None:
    registry = CollectorRegistry()
    CaptureMetrics(registry)
    deleted = {"table": "enrolment", "op": "d"}
    assert registry.get_sample_value("imsfeed_events_published_total", deleted) == 0
    published = [sample for sample in _samples(registry) if sample.name == "imsfeed_events_published_total"]
    assert len(published) == 7 * 5


def test_every_partition_has_its_lag_and_heartbeat() -> None:
    registry = CollectorRegistry()
    MaterializeMetrics(registry, partitions=3)
    partitions = [
        (sample.name, sample.labels["partition"]) for sample in _samples(registry) if "partition" in sample.labels
    ]
    names = "imsfeed_consumer_lag_records", "imsfeed_heartbeat_timestamp_seconds"
    assert partitions == [(name, partition) for name in names for partition in "012"]


def test_every_exclusion_reason_is_counted_from_the_start() -> None:
    registry = CollectorRegistry()
    CompactMetrics(registry, reasons=[("person", "protected"), ("group", "ended")])
    assert registry.get_sample_value("imsfeed_excluded", {"kind": "person", "reason": "protected"}) == 0
    assert registry.get_sample_value("imsfeed_excluded", {"kind": "group", "reason": "ended"}) == 0
    assert registry.get_sample_value("imsfeed_excluded", {"kind": "group", "reason": "protected"}) is None


def test_every_metric_is_described_once_with_its_labels() -> None:
    all_described = {metric.name: metric for metric in descriptions()}
    assert len(list(descriptions())) == len(all_described) >= 38
    assert all_described["imsfeed_events_published_total"].labels == ("table", "op")
    assert all_described["imsfeed_excluded"].labels == ("kind", "reason")
    assert all_described["imsfeed_end_to_end_seconds"][1:3] == ("histogram", ())


@pytest.mark.parametrize("metric", list(descriptions()), ids=lambda metric: metric.name)
def test_a_metric_follows_the_naming_rules(
    metric: tuple[str, str, tuple[str, ...], str],
) -> None:
    name, kind, _, meaning = metric
    assert re.fullmatch(r"imsfeed_[a-z_]+[a-z]", name)
    assert name.endswith("_total") == (kind == "counter")
    assert re.fullmatch(r"[A-Z1].+\.", meaning)
    if "_seconds" in name:
        assert "seconds" in meaning
    if "_bytes" in name:
        assert "in bytes" in meaning


@pytest.mark.parametrize("metric", list(descriptions()), ids=lambda metric: metric.name)
def test_a_metric_is_an_attribute_of_the_same_name(metric: tuple[str, str, tuple[str, ...], str]) -> None:
    attribute = metric[0].removeprefix("imsfeed_").removesuffix("_total")
    assert any(hasattr(process(CollectorRegistry()), attribute) for process in PROCESSES)
