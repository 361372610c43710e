"""The runbook pages about capture: each is followed from its situation to the end, by its own commands."""

import pytest

from tests.acceptance.runbook.story import Story
from tests.support.docs.followed_page import following


def test_a_lost_slot_is_recovered_by_its_page(story: Story) -> None:
    leaver, ended = story.learner(), story.learner()
    story.installation.stop("capture")
    story.slot("pg_drop_replication_slot(%s)")
    story.leaves(leaver)
    story.ends(ended)
    story.installation.start("capture")
    story.ends_with_code("capture", 2, "does not exist")
    with following("runbook/lost-slot", story.installation) as page:
        page.run()
        story.load()
        story.approve(page, leaver, ended)
        assert "source: initial load: complete" in page.run()
    story.all_is_well()


def test_a_recreated_slot_is_recovered_by_its_page(story: Story) -> None:
    leaver, newcomer = story.learner(), story.learner()
    story.leaves(newcomer)
    story.await_gone(newcomer)
    story.installation.stop("capture")
    story.slot("pg_drop_replication_slot(%s)")
    story.leaves(leaver)
    story.comes_back(newcomer)
    story.slot("pg_create_logical_replication_slot(%s, 'pgoutput')")
    story.installation.start("capture")
    story.ends_with_code("capture", 2, "recreated or advanced by another program")
    with following("runbook/slot-recreated", story.installation) as page:
        page.run()
        story.load()
        story.await_in(newcomer)
        story.approve(page, leaver)
        page.run()
    story.all_is_well()


@pytest.mark.parametrize("with_slot", [False, True])
def test_a_restored_source_is_followed_again_by_its_page(story: Story, with_slot: bool) -> None:
    installation, entered, changed = story.installation, story.learner(), story.learner()
    story.leaves(entered)
    story.await_gone(entered)
    installation.stop("capture")
    with story.restored_afterwards(with_slot=with_slot):
        installation.start("capture")
        story.comes_back(entered)
        story.await_in(entered)
        installation.stop("capture")
    story.ends(changed)
    installation.start("capture")
    if with_slot:
        duplicates = "imsfeed_events_duplicate_total"
        story.await_that(
            lambda: installation.metric("materialize", duplicates) > 0, "everything looks like a duplicate"
        )
        assert story.is_in(changed), "the change has arrived"
        installation.stop("capture")
    else:
        story.ends_with_code("capture", 2, "does not exist")
    with following("runbook/source-restored", installation) as page:
        page.run()
        story.load()
        story.approve(page, entered, changed)
        page.run()
    story.all_is_well()


def test_a_truncated_table_is_loaded_again_by_its_page(story: Story) -> None:
    installation, gone = story.installation, story.learner()
    installation.source.execute("create table kept as select * from enrolment where person_id <> %s", [gone])
    installation.source.execute("truncate enrolment")
    story.await_that(story.in_quarantine, "the TRUNCATE is in quarantine")
    installation.source.execute("insert into enrolment select * from kept")
    with following("runbook/truncate", installation) as page:
        page.run()
        story.approve(page, gone)
        assert "message 1: discarded" in page.run()
        page.run()
    story.all_is_well()


def test_a_renamed_column_is_mapped_by_the_page(story: Story) -> None:
    installation, leaver, late = story.installation, story.learner(), story.learner()
    installation.stop("materialize")
    story.is_named(late, "Sent")
    story.await_captured()
    installation.source.execute("alter table person rename family_name to surname")
    story.leaves(leaver)
    story.ends_with_code("capture", 2, "has no column family_name")
    with following("runbook/schema-changes", installation, TARGET="lms") as page:
        mapping = installation.folder / "mapping.toml"
        mapping.write_text(page.sample("toml"))
        installation.environment["MAPPING_FILE"] = str(mapping)
        page.run()
        page.run()
        installation.stop("compact")
        installation.start("materialize", "compact")
        story.load()
        story.approve(page, leaver)
        assert "discarded" in page.run()
        assert "source: ok (0 differences)" in page.run()
    story.all_is_well()
    story.is_over = False  # for the next story, which would write the column's former name
