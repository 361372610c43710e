import itertools
import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ims.runtime.metrics import CaptureMetrics, CompactMetrics, MaterializeMetrics
from tests.support.paths import DEPLOY

MONITORING = DEPLOY / "monitoring"

PROMETHEUS: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((MONITORING / "alerts.yml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

_METRIC = re.compile(r"\b(?:imsfeed_|process_)[a-z_]+\b")
_SELECTOR = re.compile(r"(imsfeed_[a-z_]+)\{([^}]*)\}")


def _scraped() -> dict[str, list[dict[str, str]]]:
    """Return the labels of every series that the processes expose, by the name under which Prometheus stores it."""
    series: dict[str, list[dict[str, str]]] = {}
    for process in (CaptureMetrics, MaterializeMetrics, lambda own: CompactMetrics(own, [("person", "protected")])):
        registry = CollectorRegistry()
        process(registry)
        for metric in registry.collect():
            for sample in metric.samples:
                series.setdefault(sample.name, []).append(sample.labels)
    return series


SERIES = _scraped()
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']}: {target['legendFormat']}": target["expr"] for panel in PANELS for target in panel["targets"]
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))
def test_every_metric_in_an_expression_exists(expression: str) -> None:
    names = _METRIC.findall(expression)
    assert names or "up{" in expression
    assert set(names) <= set(SERIES)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))
def test_every_label_value_in_an_expression_exists(expression: str) -> None:
    for name, selector in _SELECTOR.findall(expression):
        for label, operator, value in re.findall(r'(\w+)(!=|=~|=)"([^"]*)"', selector):
            if label != "job":
                known = {labels[label] for labels in SERIES[name]}
                assert set(value.split("|") if operator == "=~" else [value]) <= known


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))
def test_every_label_that_is_grouped_by_exists(expression: str) -> None:
    of_prometheus = {"le", "instance", "job"}
    known = of_prometheus.union(*(labels for name in _METRIC.findall(expression) for labels in SERIES[name]))
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Imsfeed([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "action"}
    assert rule["annotations"]["description"].endswith(".")
    assert rule["annotations"]["action"].endswith(".")
    assert re.fullmatch(r"\d+m", rule.get("for", "1m"))


def test_every_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)


def test_the_slot_alert_fires_at_half_the_retention_limit() -> None:
    compose = yaml.safe_load((DEPLOY / "containers" / "compose.yaml").read_text())
    assert "max_slot_wal_keep_size=10GB" in compose["services"]["source"]["command"]
    (rule,) = (rule for rule in RULES if rule["alert"] == "ImsfeedSlotRetainedBytesHigh")
    assert rule["expr"] == "imsfeed_slot_retained_bytes > 5e9"


def test_prometheus_scrapes_every_process_at_its_port() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["job_name"] == "imsfeed"
    targets = {config["labels"]["process"]: config["targets"] for config in job["static_configs"]}
    assert targets == {name: [f"{name}:9464"] for name in ("capture", "materialize", "compact")}
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]


def test_the_dashboard_fits_on_its_grid_without_overlap() -> None:
    covered = [
        (column, row)
        for at in (panel["gridPos"] for panel in PANELS)
        for column, row in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
    ]
    assert len(set(covered)) == len(covered)
    assert max(column for column, _ in covered) == 23
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_is_explained_and_reads_the_provisioned_source(panel: dict[str, Any]) -> None:
    provisioned = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in {"none", "s", "ops", "bytes"}
    for asking in (panel, *panel["targets"]):
        assert asking["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_grafana_finds_the_dashboard_where_it_is_mounted() -> None:
    provisioned = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/imsfeed.yml").read_text())
    path = provisioned["providers"][0]["options"]["path"]
    compose = yaml.safe_load((DEPLOY / "containers" / "compose.yaml").read_text())
    assert f"../monitoring/dashboard.json:{path}/imsfeed.json:ro" in compose["services"]["grafana"]["volumes"]
