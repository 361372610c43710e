"""The metrics in which one target among many must be seen."""

from tests.support.builders import a_person
from tests.support.pipeline import Pipeline


def test_one_late_snapshot_among_many_is_counted(published: Pipeline) -> None:
    for name in ("a", "b"):
        published.target(name=name)
    published.compact(seconds=1)
    (published.folder("a") / "snapshots/2026-10-16-0.xml").write_text("another's")
    published.compact(hours=15)
    published.compact(minutes=5)
    assert published.manifest("b").snapshot.path == "snapshots/2026-10-16-0.xml"
    assert published.metrics.snapshots_late._value.get() == 1
    published.target(name="a", enabled=False)
    published.compact(minutes=1)
    assert published.metrics.snapshots_late._value.get() == 0


def test_the_target_that_is_behind_is_not_hidden_by_the_others(published: Pipeline) -> None:
    published.target(name="a")
    published.compact(seconds=1)
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    assert published.metrics.pending_change_age_seconds._value.get() == 0
    published.connection.execute("update imsfeed.target set changes_through = 0 where name = 'a'")
    published.connection.execute("update imsfeed.pending_change set noted_at = now() - interval '1 hour'")
    published.connection.execute("update imsfeed.topic_partition set open_owners = '{1}'")
    published.compact(seconds=1)
    assert published.metrics.pending_change_age_seconds._value.get() >= 3_600
