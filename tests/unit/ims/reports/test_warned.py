"""What case workers read about persons and groups that are exported with a warning."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ims.reports.exclusion_page import as_html
from ims.reports.exclusion_report import Excluded, Report, as_csv
from ims.reports.person_status import Exported, PersonStatus, explain
from ims.reports.reason_texts import Language
from ims.reports.warned import Warned
from ims.reports.warning_texts import warning_text
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning

AT = datetime(2026, 10, 15, 8, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
TAKEN = Warned("person", 1002, "Bo <Aas>", RecordWarning.LOGIN_TAKEN, ("1001 Ada 01819012284",), AT)
TWICE = Excluded("person", 1003, "Di Li", (), (), Reason.DUPLICATE_ID, AT, (), ("1001 Ada Li",))
REPORT = Report("lms", "Fjordvik", AT, OSLO, (TWICE,), warned=(TAKEN,))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("warning", RecordWarning)
def test_every_warning_has_a_meaning_and_a_remedy(warning: RecordWarning, language: Language) -> None:
    assert all(text.endswith(".") for text in warning_text(warning, language))


@pytest.mark.parametrize("language", Language)
def test_the_page_lists_both_persons_of_a_shared_login(language: Language) -> None:
    page = as_html(REPORT, language)
    assert "Bo &lt;Aas&gt;" in page
    assert "1001 Ada ***********" in page
    assert "Di Li (= 1001 Ada Li)" in page


def test_the_table_for_excel_has_the_warnings() -> None:
    *_, row, _ = as_csv(REPORT, Language.ENGLISH).split("\r\n")
    assert row.startswith("person;1002;Bo <Aas> (= 1001 Ada ***********);;;Another person has the same login")


def test_why_names_the_warnings_of_an_exported_person() -> None:
    status = PersonStatus(
        target="lms",
        situation=None,
        zone=OSLO,
        person=1002,
        exported=Exported("running number", (), (), AT),
        excluded=None,
        held=None,
        published=None,
        oldest_delta=None,
        warnings=(RecordWarning.LOGIN_TAKEN,),
    )
    assert "(login_taken)" in explain(status, Language.ENGLISH)
