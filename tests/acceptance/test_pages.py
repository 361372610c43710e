"""The commands of the pages outside the runbook, in one installation that is set up as the README says."""

from collections.abc import Iterator

import pytest

from consumers.database import sessions
from consumers.holds.open_holds import Hold, open_holds
from deploy.local.postgres import LocalPostgres
from ims.holds.losses import Cause
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.docs.followed_page import blocks, commands, following
from tests.support.fixtures.postgres import temporary_database
from tests.support.installation import Installation, installed
from tests.support.paths import DOCS
from tests.support.waiting import until

LEARNERS = (1017, 1042, 1043, 1044)
"""Running numbers; the first two stand on the pages."""


@pytest.fixture(scope="module")
def empty(
    source_server: LocalPostgres,
    source_template: str,
    state_server: LocalPostgres,
    kafka: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Yield an installation in which nothing is set up, for a source with some learners."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        temporary_database(source_server, source_template) as source,
        temporary_database(state_server) as state,
        installed(source_server.dsn(source), state_server.dsn(state), kafka, folder.name, folder) as installation,
    ):
        installation.environment["RECONCILE_SOURCE_DSN"] = source_server.dsn(source)
        installation.write(an_owner(), a_school(1), a_group(1))
        for learner in LEARNERS:
            installation.write(a_person(learner), an_enrolment(learner, person=learner, group=1))
        yield installation


@pytest.fixture(scope="module")
def installation(empty: Installation) -> Installation:
    """Set the installation up by the first blocks of the README, and approve the first publication as its page says."""
    with following("../README", empty) as readme:
        ours, *lines = commands(readme.sample("sh"))
        assert ours.startswith("export SOURCE_DSN="), "the installation's environment has these"
        (empty.folder / "targets.toml").write_text(readme.sample("toml"))
        readme.sample("sh")
        begin = lines.index("imsfeed run")
        for line in lines[:begin]:
            readme.run_line(line)
        empty.imsfeed("targets", "set", "lms", "allow_test_numbers=true")  # the persons of tests have no other
        empty.start()
        hold = a_hold(empty, Cause.INITIAL)
        for line in lines[begin + 1 :]:
            readme.run_line(line)
    with following("holds", empty, HOLD=hold.hold_id) as page:
        shown = page.run()
        page.give(DIGEST=shown.partition("Digest: ")[2].split()[0])
        page.run()
        empty.first_manifest()
        empty.imsfeed("targets", "set", "lms", "excluded_groups=[1]")
        page.give(HOLD=a_hold(empty, Cause.SETTING).hold_id)
        assert "rejected hold" in page.run()
        page.run()
    empty.imsfeed("targets", "set", "lms", "excluded_groups=[]")
    return empty


def a_hold(installation: Installation, cause: Cause) -> Hold:
    """Wait until there is an open hold of this cause, and return it."""
    with sessions.connect(installation.environment["STATE_DSN"], "test") as connection:
        return until(
            lambda: [hold for hold in open_holds(connection) if hold.cause == cause],
            within=60,
            what=f"a hold; {installation.last_lines()}",
        )[0]


def test_the_commands_of_the_readme_run_as_they_stand(installation: Installation) -> None:
    folder = installation.folder
    newest = installation.first_manifest().snapshot.path
    (folder / "Eksport.xml").write_bytes((installation.target / newest).read_bytes())
    events = next(block for block in blocks((DOCS / "events-file.md").read_text("utf-8")) if block.language == "json")
    (folder / "events.jsonl").write_text(events.text)
    with following("../README", installation) as readme:
        *_, later = [readme.sample(language) for language in ("sh", "toml", "sh")]
        # The persons of tests have no real numbers, and nobody approves anything in a replay.
        settings = (folder / "targets.toml").read_text().replace("accept_initial = false", "accept_initial = true")
        (folder / "targets.toml").write_text(f"{settings}allow_test_numbers = true\n")
        for line in commands(later):
            readme.run_line(line, code=3 if line.startswith("imsfeed compare ") else 0)
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert list((folder / "replayed").rglob("manifest.json"))


def test_the_commands_about_targets_run_as_they_stand(installation: Installation) -> None:
    with following("targets", installation) as page:
        page.run()
    assert "snapshot_hour = 3" in installation.imsfeed("targets", "show")


def test_the_commands_about_reports_run_as_they_stand(installation: Installation) -> None:
    with following("report-and-notices", installation) as page:
        page.run()
        assert "1017" in page.run()
    assert (installation.folder / "report.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_an_exported_file_of_events_is_replayed_by_its_page(installation: Installation) -> None:
    (installation.folder / "replayed").rename(installation.folder / "replayed-before")
    shown = installation.imsfeed("targets", "set", "lms", "accept_initial=true")
    (installation.folder / "targets.toml").write_text(shown)
    with following("events-file", installation) as page:
        page.run()
        page.sample("json")
    assert list((installation.folder / "replayed").rglob("manifest.json"))


def test_a_person_is_removed_now_as_the_operations_say(installation: Installation) -> None:
    with following("operations", installation, OWNER=1, PERSON=LEARNERS[2]) as page:
        assert page.sample("sh").startswith("kafka-consumer-groups.sh "), "a tool of Kafka's own"
        assert "the next delta removes the person" in page.run()
    installation.imsfeed("why", "lms", str(LEARNERS[2]))


def test_the_feed_is_made_narrow_again_as_the_page_about_security_says(installation: Installation) -> None:
    installation.target.chmod(0o777)
    assert "/feed" in installation.imsfeed("snapshot", "--now", "lms", code=2)
    with following("security", installation) as page:
        page.replace("/feed", str(installation.folder / "feed"))
        page.run()
    installation.imsfeed("snapshot", "--now", "lms")
