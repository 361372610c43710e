"""A pipeline whose compactor sends mails to a real mail server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from consumers.compact import LEFT_OUT_SERIES, Compactor
from consumers.mail import mail_server
from consumers.notices import Notices
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from tests.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.mail_server import PASSWORD, USER, MailServer, running_mail_server
from tests.pipeline import Immediately, Pipeline

LINK = "https://ims.fjordvik.example/report"
WORKERS = ("saksbehandler@fjordvik.example", "leder@fjordvik.example")


@pytest.fixture
def mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with running_mail_server(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        yield server


@pytest.fixture
def start_mailing(state_dsn: str, tmp_path: Path, mails: MailServer) -> Iterator[Callable[..., Pipeline]]:
    """Starts another compactor on the same state and feed, which sends mail."""
    with ExitStack() as stack:

        def begin(**changes: Any) -> Pipeline:
            pipeline = Pipeline(state_dsn, tmp_path / "feed")
            stack.callback(pipeline.close)
            sending = {
                "smtp_host": "localhost",
                "smtp_port": mails.port,
                "smtp_user": USER,
                "smtp_password": PASSWORD,
                "smtp_from": "imsfeed@fjordvik.example",
                "report_url": LINK,
            }
            settings = Settings.model_validate(pipeline.settings.model_dump() | sending | changes)
            server = mail_server(settings)
            assert server is not None
            stop = Stop()
            stack.callback(stop.close)
            pipeline.metrics = CompactMetrics(CollectorRegistry(), LEFT_OUT_SERIES)
            notices = Notices(settings, server, Immediately(), pipeline.metrics, stop)
            pipeline.compactor = Compactor(
                pipeline.settings, pipeline.metrics, pipeline.connection, Immediately(), notices
            )
            return pipeline

        yield begin


@pytest.fixture
def mailing(start_mailing: Callable[..., Pipeline]) -> Pipeline:
    """Learner 1 exported, learner 2 left out for want of a national id; noon in Oslo. Nobody has looked yet."""
    pipeline = start_mailing()
    pipeline.target(case_workers=WORKERS)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1, person=1))
    pipeline.commit(a_person(2, national_id=None), an_enrolment(2, person=2))
    return pipeline
