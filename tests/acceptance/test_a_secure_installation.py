"""The whole path as in production: TLS everywhere, logins, and a database role for each process."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
import trustme
from psycopg.conninfo import make_conninfo

from tests.acceptance.test_the_whole_path import a_school_owner
from tests.support.builders import an_enrolment
from tests.support.fixtures.secure_kafka import PASSWORD, SecureKafka
from tests.support.installation import Installation, installed
from tests.support.servers.database_roles import SOURCE_ROLES, STATE_ROLES, dropped, names_of, run_script
from tests.support.servers.tls_proxy import tls_in_front_of
from tests.support.waiting import until

STARTED = date(2020, 1, 1)


class Secure:
    """An installation, and the environment of each process with its own login."""

    def __init__(self, installation: Installation, environments: dict[str, dict[str, str]]) -> None:
        self.installation = installation
        self.environments = environments

    def start(self, name: str, **changes: str) -> None:
        former = self.installation.environment
        self.installation.environment = former | self.environments[name] | changes
        self.installation.start(name)
        self.installation.environment = former

    def run(self, name: str, *arguments: str, code: int = 0) -> str:
        former = self.installation.environment
        self.installation.environment = former | self.environments[name]
        try:
            return self.installation.imsfeed(*arguments, code=code)
        finally:
            self.installation.environment = former

    def log(self, name: str) -> str:
        return self.installation.log(name).read_text()


@pytest.fixture
def secure(source_dsn: str, state_dsn: str, secure_kafka: SecureKafka, topic: str, tmp_path: Path) -> Iterator[Secure]:
    source_names, state_names = names_of(*SOURCE_ROLES), names_of(*STATE_ROLES)
    with ExitStack() as stack:
        (tmp_path / "installation").mkdir()
        tls = {}
        for side, dsn in (("source", source_dsn), ("state", state_dsn)):
            (tmp_path / side).mkdir()
            tls[side] = stack.enter_context(tls_in_front_of(dsn, tmp_path / side))
        run_script(source_dsn, "deploy/source/roles.sql", source_names)
        source = stack.enter_context(dropped(source_dsn, source_names))
        run_script(state_dsn, "deploy/state/roles.sql", state_names)
        state = stack.enter_context(dropped(state_dsn, state_names))
        installation = stack.enter_context(installed(source_dsn, state_dsn, "", topic, tmp_path / "installation"))
        kafka = secure_kafka.environment("SCRAM")
        nothing = {"SOURCE_DSN": "", "STATE_DSN": ""}
        environments = {
            "capture": nothing | kafka | {"SOURCE_DSN": tls["source"].dsn(source["capture"], password=PASSWORD)},
            "materialize": nothing | kafka,
            "compact": nothing,
            "operator": nothing,
            "status": nothing,
        }
        for role in STATE_ROLES:
            environments[role] = environments[role] | {"STATE_DSN": tls["state"].dsn(state[role], password=PASSWORD)}
        yield Secure(installation, environments)


def test_a_student_leaves_over_tls_with_least_privileges(secure: Secure) -> None:
    installation = secure.installation
    installation.write(*a_school_owner())
    installation.set_up(export_path="Eksport.xml")
    for name in ("capture", "materialize", "compact"):
        secure.start(name, LOG_LEVEL="debug")
    installation.first_manifest()
    installation.write(an_enrolment(1, person=1, group=2, starts_on=STARTED, status="withdrawn"))
    until(installation.deltas, what=f"a delta; {installation.last_lines()}")
    assert installation.verification().problems == []

    assert '"head_seq": 1' in secure.run("status", "status", "--json")
    assert "not allowed: " in secure.run("status", "targets", "set", "lms", "snapshot_hour=4", code=1)
    assert "snapshot_hour = 4" in secure.run("operator", "targets", "set", "lms", "snapshot_hour=4")
    assert secure.run("compact", "snapshot", "--now", "lms").strip().endswith(".xml")
    assert installation.stop() == {"capture": 0, "materialize": 0, "compact": 0}
    assert not any(PASSWORD in secure.log(name) for name in ("capture", "materialize", "compact"))


def test_a_wrong_password_or_authority_is_logged_without_the_secret(secure: Secure, tmp_path: Path) -> None:
    installation = secure.installation
    installation.write(*a_school_owner())
    installation.set_up()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    secure.start("capture", KAFKA_SASL_PASSWORD="wrong-horse")
    secure.start("materialize", KAFKA_TLS_CA_FILE=str(tmp_path / "other.pem"))
    dsn = make_conninfo(secure.environments["compact"]["STATE_DSN"], sslrootcert=str(tmp_path / "other.pem"))
    secure.start("compact", STATE_DSN=dsn)
    for name, why in (
        ("capture", "the login is refused; see KAFKA_SASL_MECHANISM"),
        ("materialize", "its certificate is not trusted (unable to get local issuer certificate)"),
        ("compact", "certificate verify failed"),
    ):
        until(lambda name=name, why=why: why in secure.log(name), within=60, what=f"{name} says {why}")  # type: ignore[misc]
        assert installation.get(name, "/readyz")[0] == 503
    assert installation.stop() == {"capture": 0, "materialize": 0, "compact": 0}
    printed = "".join(secure.log(name) for name in ("capture", "materialize", "compact"))
    assert PASSWORD not in printed
    assert "wrong-horse" not in printed
