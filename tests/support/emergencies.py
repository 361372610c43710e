"""The commands for emergency orders as they are typed, and the audit that they leave."""

import re
from typing import Any

from typer.testing import CliRunner, Result

from deploy.cli import app
from ims.errors import ImsfeedError
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

WHY = ("--reason", "case 26/117")


def a_small_school(pipeline: Pipeline) -> None:
    """Publish a small school: learner 1 in groups 1 and 2, learner 2 in group 1, teacher 3."""
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2), a_person(3))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.commit(an_enrolment(3, person=2, group=1), an_employee(1, person=3))
    pipeline.compact()


def run(*arguments: str) -> Result:
    """Run a command, and check that its output does not contain person 1's national id."""
    result = CliRunner().invoke(app, arguments)
    assert a_birth_number(1) not in re.sub(r"\s", "", result.output + str(result.exception))
    return result


def done(*arguments: str) -> str:
    """Run a command that must succeed, and return its output."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> ImsfeedError:
    """Run a command that must fail, and return its error."""
    error = run(*arguments).exception
    assert isinstance(error, ImsfeedError)
    return error


def audit(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """Return who, action, reason, owner and person of every audit entry, in order."""
    return pipeline.connection.execute(
        "select who, action, reason, owner_id, person_id from imsfeed.suppression_audit order by audit_id"
    ).fetchall()
