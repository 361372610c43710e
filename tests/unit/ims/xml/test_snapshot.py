"""Snapshots made of published texts, one by one and in runs."""

from collections.abc import Iterator

import msgspec
import pytest

from ims.errors import FeedError
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.xml.writer import Run, fragment, membership_open, rows_of_runs, snapshot_parts
from tests.unit.ims.xml.plain_records import (
    ANNA,
    ANNA_LEARNS,
    EVERYTHING,
    FULL,
    HEAD_XML,
    NORWEGIAN,
    SOURCE,
    TOR,
    TOR_TEACHES,
    rows,
)


def test_a_snapshot_has_one_membership_element_per_group() -> None:
    other_group = msgspec.structs.replace(NORWEGIAN, id="group-8")
    tor_teaches_there = msgspec.structs.replace(TOR_TEACHES, group="group-8")
    whole = (
        HEAD_XML
        + fragment(ANNA)
        + fragment(TOR)
        + fragment(NORWEGIAN)
        + fragment(other_group)
        + membership_open(SOURCE, "group-7")
        + fragment(ANNA_LEARNS)
        + fragment(TOR_TEACHES)
        + "  </membership>\n"
        + membership_open(SOURCE, "group-8")
        + fragment(tor_teaches_there)
        + "  </membership>\n</enterprise>\n"
    )
    assert "".join(snapshot_parts(FULL, SOURCE, rows(*EVERYTHING, other_group, tor_teaches_there))) == whole


def test_a_membership_element_names_its_group() -> None:
    assert (
        membership_open(SOURCE, "group-7")
        == """\
  <membership>
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>group-7</id>
    </sourcedid>
"""
    )


def test_an_empty_snapshot_is_a_valid_file() -> None:
    assert "".join(snapshot_parts(FULL, SOURCE, [])) == HEAD_XML + "</enterprise>\n"


def test_a_snapshot_takes_no_more_rows_than_it_has_written() -> None:
    taken = []

    def some() -> Iterator[tuple[RecordKey, str]]:
        for row in rows(*EVERYTHING):
            taken.append(row)
            yield row

    parts = snapshot_parts(FULL, SOURCE, some())
    assert [next(parts) for _ in range(3)] == [HEAD_XML, fragment(ANNA), fragment(TOR)]
    assert len(taken) == 2


@pytest.mark.parametrize("wrong", [[1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [0, 0, 1, 2, 3], [0, 3, 1, 2, 4]])
def test_a_snapshot_of_rows_out_of_order_is_refused(wrong: list[int]) -> None:
    ordered = rows(*EVERYTHING)
    with pytest.raises(FeedError, match="not in the order of their keys"):
        list(snapshot_parts(FULL, SOURCE, [ordered[number] for number in wrong]))


def run(*members: str, group: str = "group-7") -> Run:
    return Run(RecordKind.MEMBERSHIP, group, list(members), "".join(members))


def test_runs_give_the_same_snapshot_as_single_records() -> None:
    one_by_one = rows(*EVERYTHING)
    runs = [
        Run(kind, group, [key.member or key.id for key, _ in some], "".join(text for _, text in some))
        for (kind, group), some in (
            (place, [row for row in one_by_one if place == (row[0].kind, row[0].id * bool(row[0].member))])
            for place in dict.fromkeys((key.kind, key.id * bool(key.member)) for key, _ in one_by_one)
        )
    ]
    assert "".join(snapshot_parts(FULL, SOURCE, rows_of_runs(runs))) == "".join(
        snapshot_parts(FULL, SOURCE, one_by_one)
    )


def test_a_group_in_several_runs_has_one_membership() -> None:
    xml = "".join(snapshot_parts(FULL, SOURCE, rows_of_runs([run("1", "2"), run("3"), run("1", group="group-8")])))
    assert xml.count("<membership>") == 2
    assert xml.index("12") < xml.index("3", xml.index("12")) < xml.index("group-8")


@pytest.mark.parametrize(
    "runs",
    [
        [run("2", "1")],
        [run("1", "1")],
        [run("1", "3"), run("2")],
        [run("1", "2"), run("2")],
        [run("1", group="group-8"), run("2", group="group-7")],
        [run("1"), Run(RecordKind.PERSON, "", ["1"], "")],
    ],
)
def test_runs_out_of_order_are_refused(runs: list[Run]) -> None:
    with pytest.raises(FeedError, match="order of their keys"):
        list(snapshot_parts(FULL, SOURCE, rows_of_runs(runs)))
