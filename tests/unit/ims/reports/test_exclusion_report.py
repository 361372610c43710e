"""The exclusion report to the case worker, as a page and as CSV."""

import csv
import re
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import html

from ims.reports.exclusion_page import as_html
from ims.reports.exclusion_report import Excluded, Report, as_csv
from ims.reports.reason_texts import Language, reason_text
from ims.rules.eligibility import Reason
from tests.support.builders import a_birth_number, a_d_number, a_duf_number

SINCE = datetime(2026, 10, 14, 22, 30, tzinfo=UTC)
AT = datetime(2026, 10, 15, 10, tzinfo=UTC)


def a_row(id: int = 1017, **changes: Any) -> Excluded:  # noqa: A002 - the row's own word
    usual: dict[str, Any] = {
        "kind": "person",
        "id": id,
        "name": "Åse Østby",
        "schools": ("Fjordvik voksenopplæring",),
        "groups": ("Norsk B1 (B1)",),
        "reason": Reason.NATIONAL_ID_MISSING,
        "since": SINCE,
    }
    return Excluded(**usual | changes)


def a_report(*rows: Excluded) -> Report:
    return Report("lms", "Fjordvik kommune", AT, ZoneInfo("Europe/Oslo"), rows)


def page(*rows: Excluded, language: Language = Language.BOKMAL) -> html.HtmlElement:
    return html.document_fromstring(as_html(a_report(*rows), language).encode())


def texts(root: html.HtmlElement, path: str) -> list[str]:
    return [" ".join(element.text_content().split()) for element in root.xpath(path)]


def table(*rows: Excluded, language: Language = Language.BOKMAL) -> list[dict[str, str]]:
    text = as_csv(a_report(*rows), language)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(StringIO(text[1:]), delimiter=";"))


@pytest.mark.parametrize("language", Language)
def test_a_page_says_who_is_excluded_and_how_to_correct_it(language: Language) -> None:
    root = page(a_row(), language=language)
    text = reason_text(Reason.NATIONAL_ID_MISSING, language)
    assert root.get("lang") == language
    assert texts(root, "//section/h3") == [text.meaning]
    assert text.remedy in texts(root, "//section/p")[0]
    since = "15.10.2026 00:30" if language is Language.BOKMAL else "2026-10-15 00:30"
    row = ["1017", "Åse Østby", "Fjordvik voksenopplæring", "Norsk B1 (B1)", since]
    assert texts(root, "//section//tbody/tr/*") == row


def test_a_page_begins_with_counts_of_what_is_to_be_corrected() -> None:
    root = page(
        a_row(1, reason=Reason.GROUP_ENDED, kind="group"),
        a_row(2),
        a_row(3),
        a_row(4, reason=Reason.DUPLICATE_ID, kind="group"),
        a_row(5, reason=Reason.DUPLICATE_ID),
    )
    (counts, *_) = root.xpath("//table")
    cells = [texts(row, "./*") for row in counts.xpath("./tbody/tr | ./tfoot/tr")]
    named = [reason_text(r, Language.BOKMAL).meaning for r in (Reason.NATIONAL_ID_MISSING, Reason.DUPLICATE_ID)]
    ended = reason_text(Reason.GROUP_ENDED, Language.BOKMAL).meaning
    assert cells == [[named[0], "2", "0"], [named[1], "1", "1"], [ended, "0", "1"], ["Sum", "3", "2"]]
    assert texts(root, "//h2") == ["Bør rettes", "Som regel riktig"]


def test_a_page_is_accessible_and_self_contained() -> None:
    root = page(a_row(), a_row(7, kind="group", reason=Reason.GROUP_ENDED))
    assert len(root.xpath("//h1")) == 1
    for one in root.xpath("//table"):
        assert one.xpath("./caption")
        assert all(cell.get("scope") == "col" for cell in one.xpath("./thead//th"))
        assert all(cell.get("scope") == "row" for cell in one.xpath("./tbody//th"))
        assert len(one.xpath("./tbody/tr")) == len(one.xpath("./tbody/tr/th"))
    links = root.xpath("//@href")
    assert links
    assert all(link.startswith("#") and root.get_element_by_id(link[1:]) is not None for link in links)
    assert not root.xpath("//script | //img | //link | //iframe | //@src")
    assert "default-src 'none'" in root.xpath("//meta[@http-equiv]/@content")[0]
    assert root.xpath("//meta/@charset") == ["utf-8"]


def test_a_name_that_looks_like_markup_is_escaped() -> None:
    awkward = "<script>alert('x')</script> & \"Co\""
    root = page(a_row(name=awkward, groups=(awkward,), schools=(awkward,)))
    assert not root.xpath("//script")
    assert texts(root, "//section//tbody/tr/*")[1:4] == [awkward] * 3


def test_a_report_without_exclusions_says_so() -> None:
    root = page()
    assert "Alle personer og grupper er med." in texts(root, "//p")
    assert not root.xpath("//table")
    assert table() == []


@pytest.mark.parametrize("language", Language)
def test_a_table_has_a_line_for_each_exclusion(language: Language) -> None:
    (line,) = table(a_row(groups=("B1", "B2")), language=language)
    text = reason_text(Reason.NATIONAL_ID_MISSING, language)
    since = "15.10.2026 00:30" if language is Language.BOKMAL else "2026-10-15 00:30"
    named = ["person", "1017", "Åse Østby", "Fjordvik voksenopplæring", "B1, B2"]
    assert list(line.values()) == [*named, text.meaning, text.remedy, since]


@pytest.mark.parametrize("name", ["=1+1", "+47", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_name_that_begins_like_a_formula_is_quoted(name: str) -> None:
    (line,) = table(a_row(name=name, schools=(name,), groups=(name,)))
    assert [line["Navn"], line["Skole"], line["Grupper"]] == [f"'{name.strip()}"] * 3


def spelled(number: str, *lengths: int) -> str:
    digits = iter(number)
    return " ".join("".join(next(digits) for _ in range(length)) for length in lengths)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "number",
    [
        spelled(a_birth_number(1), 11),
        spelled(a_birth_number(1), 6, 5),
        spelled(a_d_number(2), 2, 2, 2, 5),
        spelled(a_d_number(2), 6, 3, 2),
        spelled(a_duf_number(3), 12),
        spelled(a_duf_number(3), 4, 6, 2),
    ],
)
def test_a_national_id_typed_into_a_name_is_masked(number: str, language: Language) -> None:
    report = a_report(a_row(name=f"Ada {number}", schools=(number,), groups=(f"x {number}",)))
    for text in (as_html(report, language), as_csv(report, language)):
        assert number.replace(" ", "") not in re.sub(r"\s", "", text)


@pytest.mark.parametrize("language", Language)
def test_a_protected_person_is_named_by_the_running_number_alone(language: Language) -> None:
    report = a_report(a_row(4711, reason=Reason.PERSON_PROTECTED))
    for text in (as_html(report, language), as_csv(report, language)):
        assert "4711" in text
        for secret in ("Østby", "Fjordvik voksenopplæring", "B1"):
            assert secret not in text
