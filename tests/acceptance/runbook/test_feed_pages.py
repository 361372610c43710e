"""The runbook pages about compact, the feed and all processes: each is followed to the end, by its own commands."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.acceptance.runbook.story import Story
from tests.support.builders import ORGNR
from tests.support.docs.followed_page import following


def altered(path: Path) -> Path:
    """Change a file of the feed without changing what it says, and return its path."""
    path.write_bytes(path.read_bytes() + b"\n")
    return path


def test_what_the_reconciliation_finds_is_mended_by_its_page(story: Story) -> None:
    installation, falsified, leavers = story.installation, story.learner(), [story.learner() for _ in range(3)]
    story.await_that(story.has_reconciled, "compact has reconciled the target's first snapshot")
    number = story.publishes(story.leaves, leavers[0])
    delta, snapshot = f"deltas/{number}.xml", story.manifest().snapshot.path
    whole = {path: (installation.target / path).read_bytes() for path in (delta, snapshot)}
    for path in whole:
        altered(installation.target / path)
    story.in_state(f"update imsfeed.person set family_name = 'Falsk' where id = {falsified}")  # noqa: S608 - a number
    names = {"ORGNR": ORGNR, "NAME": "lms", "NUMBER": number, "OWNER": 1, "TARGET": "lms", "PERSON": falsified}
    with following("runbook/reconciliation-differs", installation, **names) as page:
        found = page.run(code=1)
        for word in ("files: differs", "source: differs", delta, snapshot):
            assert word in found
        page.run()
        story.await_that((installation.target / delta).exists, "the delta is linked again")
        assert (installation.target / delta).read_bytes() == whole[delta]
        story.publishes(story.leaves, leavers[1])
        page.run()
        story.publishes(story.leaves, leavers[2])
        page.repeat()
        assert str(falsified) in page.run()
        assert "complete" in page.run()
        assert "source: ok (0 differences)" in page.run()
    assert installation.verification().problems != []
    (installation.target / snapshot).write_bytes(whole[snapshot])
    story.all_is_well()


def test_a_restored_state_database_is_followed_by_its_page(story: Story) -> None:
    installation, leaver = story.installation, story.learner()
    installation.stop("materialize", "compact")
    with story.state_restored_afterwards():
        installation.start("materialize", "compact")
        story.publishes(story.leaves, leaver)
        installation.imsfeed("targets", "set", "lms", "lead_days=3")
        installation.stop("materialize", "compact")
    epoch = story.manifest().epoch
    installation.start("materialize", "compact")
    story.await_halt("the manifest names what the state database does not know")
    with following("runbook/restored-state-database", installation, TARGET="lms", SETTING="lead_days=3") as page:
        story.await_applied()
        page.run()
        assert "lead_days = 3" in page.run()
        story.await_gone(leaver)
        page.run()
    assert story.manifest().epoch != epoch
    story.all_is_well()


@pytest.mark.parametrize("left", ["nothing", "a damaged copy"])
def test_a_lost_feed_volume_is_written_again_by_its_page(story: Story, left: str) -> None:
    installation, feed = story.installation, story.installation.folder / "feed"
    number = story.publishes(story.leaves, story.learner())
    feed.rename(installation.folder / "away")
    story.await_halt("files that were published are not there")
    (installation.folder / "away").rename(feed)
    story.await_state("ok")

    epoch, files = story.manifest().epoch, story.deltas_as_bytes()
    damaged = altered(installation.target / f"deltas/{number}.xml")
    if left == "nothing":
        shutil.rmtree(feed)
    else:
        (installation.target / "manifest.json").unlink()
    story.await_halt("files that were published are not there")
    feed.mkdir(mode=0o750, exist_ok=True)
    with following("runbook/lost-feed-volume", installation) as page:
        if left == "nothing":
            page.run()
        else:
            assert "exists with other content" in page.run(code=1)
            damaged.rename(installation.folder / "damaged.xml")
            page.repeat()
        story.await_state("ok")
        page.run()
    assert (story.manifest().epoch, story.deltas_as_bytes()) == (epoch, files)
    story.all_is_well()


def test_a_paused_process_is_replaced_as_its_page_says(story: Story) -> None:
    installation, leaver = story.installation, story.learner()
    paused = installation.processes["materialize"]
    paused.send_signal(signal.SIGSTOP)
    installation.launch("other", "deploy", "materialize")
    story.publishes(story.leaves, leaver)
    paused.send_signal(signal.SIGCONT)
    story.await_that(lambda: story.assigned("materialize"), "the paused process has partitions again")
    installation.stop("other")
    with following("runbook/paused-process", installation) as page:
        story.publishes(story.leaves, story.learner())
        page.run()
    story.all_is_well()
