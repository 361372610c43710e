"""The commands of the quarantine."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from deploy.cli import app
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import an_enrolment
from tests.support.feed_words import id_of
from tests.support.pipeline import Pipeline, row_of
from tests.support.quarantined import KEY, an_event, audit, deliver, numbers, quarantining, resolved


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    with quarantining(state_dsn, tmp_path / "feed") as pipeline:
        yield pipeline


class TestCommands:
    @pytest.fixture(autouse=True)
    def _environment(self, state_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STATE_DSN", state_dsn)
        monkeypatch.setenv("KAFKA_PARTITIONS", "1")

    def run(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["quarantine", *arguments], env={"COLUMNS": "200"})
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")

    def test_the_list_names_each_message_and_where_it_lies(self, pipeline: Pipeline) -> None:
        assert self.run("list") == (0, "no message is in quarantine\n")
        deliver(pipeline, an_event(900, given_name=None), key=KEY)
        assert "test[0]@" in self.run("list")[1]
        (listed,) = msgspec.json.decode(self.run("list", "--json")[1])
        assert (listed["number"], listed["reason"]) == (numbers(pipeline)[0], "impossible_value")

    def test_one_message_is_shown(self, pipeline: Pipeline) -> None:
        deliver(pipeline, an_event(900, given_name=None), key=KEY)
        code, said = self.run("show", str(numbers(pipeline)[0]))
        assert code == 0
        assert "table: public.person" in said
        assert id_of(1) not in said
        assert self.run("show", "4711")[1].endswith(
            "there is no message 4711 in quarantine; `imsfeed quarantine list` shows all"
        )

    def test_a_replay_with_another_mapping_is_refused(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        deliver(pipeline, an_event(900, given_name=None), key=KEY)
        mapping = tmp_path / "mapping.toml"
        mapping.write_text("[person]\nvalues.protected = { J = true }")
        monkeypatch.setenv("KAFKA_TOPIC", "test")
        monkeypatch.setenv("MAPPING_FILE", str(mapping))
        code, said = self.run("replay", "--all")
        assert (code, "materialize makes the facts with another mapping" in said) == (1, True)

    def test_the_status_names_unknown_words(self, pipeline: Pipeline) -> None:
        enrolment = {**row_of(an_enrolment(1)), "status": "aktiv"}
        source = Source(schema="public", table="enrolment", epoch=1)
        transaction = Transaction("7:900", 1, 1, last=True)
        deliver(pipeline, encode(Envelope(source=source, op="c", after=enrolment, transaction=transaction)))
        said = CliRunner().invoke(app, ["status"]).output
        assert "UNKNOWN WORD: enrolment.status has the unknown word 'aktiv': 1 messages in quarantine" in said

    def test_all_unresolved_messages_are_applied_or_reported(self, pipeline: Pipeline) -> None:
        deliver(pipeline, an_event(900, given_name=None), key=KEY)
        pipeline.connection.execute("update imsfeed.quarantine set message_value = %s", (an_event(900),))
        deliver(pipeline, b"no json", key=KEY)
        code, said = self.run("replay", "--all", "--name", "Grace")
        assert code == 1
        assert "1 of 2 messages were applied; 1 stay in quarantine" in said
        assert audit(pipeline)[0][:2] == ("Grace", "replayed")

    def test_the_audit_of_a_discarded_message_lacks_its_content(self, pipeline: Pipeline) -> None:
        deliver(pipeline, an_event(900, given_name=None), key=KEY)
        (number,) = numbers(pipeline)
        assert self.run("discard", str(number))[0] != 0, "a reason must be given"
        assert self.run("discard", str(number), "--reason", "fixed", "--name", "Grace")[0] == 0
        assert numbers(pipeline) == []
        assert audit(pipeline) == [("Grace", "discarded", "fixed", number, "impossible_value")]

    def test_resolved_messages_are_discarded_together(self, pipeline: Pipeline) -> None:
        deliver(pipeline, an_event(900, given_name=None), an_event(901), key=KEY)
        deliver(pipeline, b"no json", key=b"other")
        assert self.run("discard", "--resolved", "--reason", "superseded")[0] == 0
        assert resolved(pipeline) == [False]

    @pytest.mark.parametrize("arguments", [("replay",), ("replay", "1", "--all"), ("discard", "--reason", "x")])
    def test_which_messages_must_be_said(self, arguments: tuple[str, ...]) -> None:
        assert "give the numbers of the messages" in self.run(*arguments)[1]
