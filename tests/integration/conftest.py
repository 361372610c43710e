"""Fixtures: a source that is set up for capture, the settings for it, and a consumer of the topic."""

from collections.abc import Iterator

import pytest

from ims.runtime.settings import Settings
from producers.source.catalog import Connection
from tests.support.capturing import Topic, prepared, settings_of


@pytest.fixture
def settings(source_dsn: str, kafka: str, topic: str) -> Settings:
    return settings_of(source_dsn, kafka, topic)


@pytest.fixture
def source(settings: Settings) -> Iterator[Connection]:
    with prepared(settings) as connection:
        yield connection


@pytest.fixture
def published(settings: Settings) -> Iterator[Topic]:
    topic = Topic(settings)
    yield topic
    topic.close()
