"""How much time the importers' hours leave, in the manifest and in the metric."""

from datetime import timedelta

from tests.support.pipeline import Pipeline


def test_manifest_and_metric_show_the_importer_deadline(published: Pipeline) -> None:
    assert published.manifest().ready_by is None
    assert str(published.metrics.deadline_margin_seconds._value.get()) == "nan"
    published.target(importer_sync_time="03:30")
    published.compact(hours=14, minutes=1)  # 02:01 in Oslo
    published.compact(minutes=1)
    manifest = published.manifest()
    assert manifest.ready_by is not None
    assert manifest.ready_by - manifest.next_snapshot == timedelta(minutes=90)
    assert published.metrics.deadline_margin_seconds._value.get() == 89 * 60
