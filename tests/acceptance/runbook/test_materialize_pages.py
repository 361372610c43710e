"""The runbook pages about materialize: each is followed from its situation to the end, by its own commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaProducer
from kafka.structs import TopicPartition

from tests.acceptance.runbook.story import Story
from tests.support.docs.followed_page import following
from tests.support.waiting import until

OWNERS_PARTITION = 1


@contextmanager
def administering(story: Story) -> Iterator[KafkaAdminClient]:
    """Yield a client that administers the broker."""
    admin = KafkaAdminClient(bootstrap_servers=story.installation.environment["KAFKA_BOOTSTRAP_SERVERS"])
    yield admin
    admin.close()


def send(story: Story, value: bytes) -> None:
    """Write to the topic as another program would."""
    environment = story.installation.environment
    producer = KafkaProducer(bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"])
    producer.send(environment["KAFKA_TOPIC"], value, partition=OWNERS_PARTITION).get(timeout=30)
    producer.close()


def test_messages_in_quarantine_are_resolved_by_their_page(story: Story) -> None:
    installation, nameless, renamed = story.installation, story.learner(), story.learner()
    installation.source.execute("alter table person alter given_name drop not null")
    installation.source.execute("update person set given_name = null where id = %s", [nameless])
    story.await_that(lambda: len(story.in_quarantine()) == 1, "the row without a name is in quarantine")
    with following("runbook/quarantine", installation, NUMBER=story.in_quarantine()[0]) as page:
        assert "impossible_value" in page.run()
        story.comes_back(nameless)
        story.await_that(lambda: story.in_quarantine() == [], "the message is resolved")

        send(story, b"no change event")
        story.await_that(story.in_quarantine, "the other program's message is in quarantine")
        page.give(NUMBER=story.in_quarantine()[0])
        page.run()

        installation.stop("materialize")
        wrong = installation.folder / "wrong.toml"
        wrong.write_text('[person]\ncolumns = { family_name = "surname" }\n')
        installation.start("materialize", MAPPING_FILE=str(wrong))
        story.is_named(renamed, "Etternavn")
        story.await_that(story.in_quarantine, "the row without the mapped column is in quarantine")
        installation.stop("materialize")
        installation.start("materialize")
        story.await_that(lambda: story.assigned("materialize"), "materialize has the right mapping")
        assert "applied" in page.run()
        story.await_that(lambda: story.family_name(renamed) == "Etternavn", "the change is published")
        page.run()
        assert "In quarantine: 0" in page.run()
    story.all_is_well()


def test_an_owner_is_read_again_by_the_page(story: Story) -> None:
    installation, lost = story.installation, story.learner()
    story.loses(lost)
    with following("runbook/resync-of-an-owner", installation, OWNER=1, TARGET="lms") as page:
        assert "rows sent, complete" in page.run()
        story.approve(page, lost)
        assert "source: ok (0 differences)" in page.run()
    story.all_is_well()


def test_offsets_out_of_range_are_reset_by_their_page(story: Story) -> None:
    installation, lost = story.installation, story.learner()
    installation.stop("materialize")
    story.leaves(lost)
    story.await_captured()
    with administering(story) as admin:
        partitions = [TopicPartition(installation.environment["KAFKA_TOPIC"], number) for number in (0, 1)]
        admin.delete_records(dict.fromkeys(partitions, -1))
    installation.start("materialize")
    story.ends_with_code("materialize", 2, "is outside")
    with following("runbook/offsets-out-of-range", installation) as page:
        page.run()
        installation.start("materialize")
        page.run()
        story.approve(page, lost)
        page.run()
    story.all_is_well()


def test_a_recreated_topic_is_read_by_its_page(story: Story) -> None:
    installation, lost = story.installation, story.learner()
    installation.stop("materialize")
    story.leaves(lost)
    story.await_captured()
    installation.stop("capture")
    topic = installation.environment["KAFKA_TOPIC"]
    with administering(story) as admin:
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics(), what="the topic is gone")
    installation.start("capture", "materialize")
    story.ends_with_code("materialize", 2, "was deleted and created again")
    with following("runbook/recreated-topic", installation) as page:
        page.run()
        installation.start("materialize")
        page.run()
        story.approve(page, lost)
        page.run()
    story.all_is_well()
