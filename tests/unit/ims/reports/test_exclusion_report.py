"""The exclusion report to the case worker, as a page and as CSV."""

import csv
import re
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import html

from ims.feed.manifest import Totals
from ims.holds.losses import Cause
from ims.reports.exclusion_page import as_html
from ims.reports.exclusion_report import Excluded, Held, HeldPart, Report, as_csv
from ims.reports.hold_texts import HeldFigure
from ims.reports.reason_texts import Language, reason_text
from ims.reports.states import FirstHold, Obstacle, Situation
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


OSLO = ZoneInfo("Europe/Oslo")


def a_report(*rows: Excluded, **changes: Any) -> Report:
    return Report("lms", "Fjordvik kommune", AT, OSLO, rows, **changes)


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
    status = "ikke med" if language is Language.BOKMAL else "not exported"
    named = ["person", "1017", "Åse Østby", "Fjordvik voksenopplæring", "B1, B2"]
    assert list(line.values()) == [*named, text.meaning, text.remedy, since, status, ""]


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


HELD = HeldPart(
    HeldFigure(7, Cause.PERSONS, 2, 0, SINCE, OSLO),
    [Held("person", 1042, "Bo Østby", SINCE), Held("person", 1043, "", SINCE)],
)


def test_a_held_person_is_shown_as_still_exported_and_who_decides() -> None:
    report = a_report(a_row(), held=(HELD,), published=Totals(120, 8, 240))
    root = html.document_fromstring(as_html(report, Language.BOKMAL).encode())
    section = " ".join(texts(root, "//section[@id='hold-7']"))
    assert "1042Bo Østby" in section
    assert "imsfeed holds approve 7" in section
    assert "Med i eksporten: 120 personer, 8 grupper. Av dem er 2 på vent. Ikke med: 1." in texts(root, "//p")
    lines = list(csv.DictReader(StringIO(as_csv(report, Language.BOKMAL)[1:]), delimiter=";"))
    assert [(line["Løpenummer"], line["Status"]) for line in lines] == [
        ("1043", "på vent, fortsatt med"),
        ("1042", "på vent, fortsatt med"),
        ("1017", "ikke med"),
    ]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("obstacle", Obstacle)
def test_nobody_is_called_exported_while_nothing_is_published(language: Language, obstacle: Obstacle) -> None:
    hold = FirstHold(7, SINCE)
    situation = Situation(target="lms", obstacle=obstacle, published=False, zone=OSLO, hold=hold)
    report = a_report(situation=situation)
    text = as_html(report, language)
    assert "Alle personer og grupper er med" not in text
    assert "All persons and groups are exported" not in text
    assert ("Ingenting er eksportert ennå" if language is Language.BOKMAL else "Nothing has been exported yet") in text
    (line,) = csv.DictReader(StringIO(as_csv(report, language)[1:]), delimiter=";")
    assert line["Status"] in {"ingenting eksporteres nå", "nothing is exported now"}


def test_persons_with_the_same_id_stand_together_and_name_each_other() -> None:
    rows = [
        a_row(3, name="Ada", reason=Reason.DUPLICATE_ID, same_id=(9,)),
        a_row(5, name="Bo", reason=Reason.DUPLICATE_ID, same_id=(7,)),
        a_row(7, name="Åse", reason=Reason.DUPLICATE_ID, same_id=(5,)),
        a_row(9, name="Øyvind", reason=Reason.DUPLICATE_ID, same_id=(3,)),
    ]
    root = page(*rows)
    assert texts(root, "//tbody/tr/td[@class='n']")[-4:] == ["3", "9", "5", "7"]
    others = texts(root, "//tbody/tr/td[@data-label='Samme nummer eller kode som']")
    assert others == ["9", "3", "7", "5"]
    assert [line["Samme nummer eller kode som"] for line in table(*rows)] == ["9", "3", "7", "5"]


def test_control_characters_in_names_are_not_in_the_report() -> None:
    report = a_report(a_row(name="A\x1b[2J\nB", schools=("x\u202e",)))
    for text in (as_html(report, Language.BOKMAL), as_csv(report, Language.BOKMAL)):
        assert "A\\x1b[2J B" in text
        assert not {"\x1b", "\u202e"} & set(text)
