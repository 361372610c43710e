"""A running installation that the stories of a module share; one that is not left in order is replaced."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local.postgres import LocalPostgres
from tests.acceptance.runbook.story import Story
from tests.support.fixtures.postgres import temporary_database
from tests.support.installation import installed


class Stage:
    """Where stories are played: at most one installation at a time, with its databases."""

    def __init__(self, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> None:
        self._fixture = request.getfixturevalue
        self._folders = folders
        self._stack = ExitStack()
        self._story: Story | None = None

    def story(self) -> Story:
        """Return the installation, a new one if there is none in order."""
        if self._story is None:
            folder: Path = self._folders.mktemp("installation")
            dsns = [self._database(side) for side in ("source", "state")]
            installation = self._stack.enter_context(
                installed(dsns[0], dsns[1], self._fixture("kafka"), folder.name, folder)
            )
            self._story = Story(installation, self._fixture("source_server"), self._fixture("state_server"))
            self._story.begin()
        return self._story

    def leave(self) -> None:
        """Keep the installation for the next story if this one has ended well; take it down otherwise."""
        if self._story is None or not self._story.is_over:
            self.close()

    def close(self) -> None:
        """Take the installation and its databases down."""
        self._story = None
        self._stack.close()

    def _database(self, side: str) -> str:
        server: LocalPostgres = self._fixture(f"{side}_server")
        return server.dsn(self._stack.enter_context(temporary_database(server, self._fixture(f"{side}_template"))))


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(request, tmp_path_factory)
    yield stage
    stage.close()


@pytest.fixture
def story(stage: Stage) -> Iterator[Story]:
    story = stage.story()
    story.is_over = False
    yield story
    stage.leave()
