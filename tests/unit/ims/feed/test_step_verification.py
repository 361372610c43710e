"""One step of a feed, proved with little memory: what must be found, and where. Sound feeds: test_feed_model."""

from hashlib import sha256

import msgspec
import pytest

from ims.feed.delta import Delta, between, delta_document
from ims.feed.manifest import delta_path
from ims.feed.step_verification import StepVerification
from ims.records.model import Record
from ims.xml.writer import Properties, fragment, snapshot_parts
from tests.unit.ims.feed.test_verification import (
    ANNA,
    ANNA_LEARNS,
    AT,
    B1,
    BO,
    BO_LEARNS,
    SECOND,
    SOURCE,
    Folder,
    a_folder,
    so_now,
)


@pytest.fixture
def folder() -> Folder:
    return a_folder()


def retold(folder: Folder, *records: Record) -> None:
    """Put another last snapshot in its place, and record it as it is."""
    texts = sorted((record.key, fragment(record)) for record in records)
    xml = "".join(snapshot_parts(Properties(SOURCE, "lms", "full", AT), SOURCE, texts)).encode()
    folder.files[SECOND] = xml
    folder.snapshots[-1] = msgspec.structs.replace(folder.snapshots[-1], sha256=sha256(xml).hexdigest())


def test_a_step_that_adds_up_is_proved(folder: Folder) -> None:
    assert folder.prove_step() == StepVerification([], [], records=5)


def test_the_first_snapshot_has_nothing_before_it() -> None:
    folder = Folder()
    folder.published = {B1.key: fragment(B1)}
    folder.snapshot()
    folder.publication(so_now(B1, ANNA))
    assert folder.prove_step() == StepVerification([], [], records=1)


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ((ANNA, B1, ANNA_LEARNS, BO), "1 x a membership record is missing that the snapshot and deltas before give"),
        ((B1, ANNA_LEARNS, BO, BO_LEARNS), "1 x a person record is missing that the snapshot and deltas before give"),
        (
            (ANNA, B1, ANNA_LEARNS, BO, BO_LEARNS, msgspec.structs.replace(BO, id="1003")),
            "1 x a person record is there that the snapshot and deltas before do not give",
        ),
        (
            (msgspec.structs.replace(ANNA, given_name="Anne"), B1, ANNA_LEARNS, BO, BO_LEARNS),
            "1 x a person record is not as the snapshot and deltas before give it",
        ),
    ],
)
def test_a_snapshot_that_is_not_the_sum_is_told(folder: Folder, records: tuple[Record, ...], problem: str) -> None:
    retold(folder, *records)
    assert folder.prove_step() == StepVerification([], [f"{SECOND}: {problem}"], folder.prove_step().records)


@pytest.mark.parametrize("path", ["snapshots/2026-08-17-0.xml", SECOND, "deltas/1.xml", "deltas/3.xml"])
def test_a_file_that_is_not_as_recorded_is_told_and_nothing_else(folder: Folder, path: str) -> None:
    folder.files[path] += b"\n"
    assert folder.prove_step() == StepVerification([f"{path}: its digest is not the one recorded"], [], 0)
    del folder.files[path]
    assert folder.prove_step().damaged == [f"{path}: is not there"]


def test_a_break_in_the_chain_is_told(folder: Folder) -> None:
    folder.entries[1] = msgspec.structs.replace(folder.entries[1], prev_sha256="0" * 64)
    assert folder.prove_step().damaged == ["deltas/2.xml: prev_sha256 is not the digest of the delta before"]
    del folder.entries[1]
    assert folder.prove_step().damaged == ["deltas/3.xml: follows delta 1, a gap"]
    del folder.entries[0]
    assert folder.prove_step().damaged == ["deltas/3.xml: delta 1 should come first after the snapshot"]


@pytest.mark.parametrize(
    ("published", "problem"),
    [
        (between({}, so_now(ANNA, ANNA_LEARNS)), "1 x a person record is new (1) that was there already"),
        (between({BO.key: fragment(BO)}, so_now(ANNA_LEARNS)), "1 x a person record is gone (3) that was not there"),
    ],
)
def test_a_recstatus_that_does_not_go_with_what_was_there_is_told(
    folder: Folder, published: Delta, problem: str
) -> None:
    xml = delta_document(Properties(SOURCE, "lms", "delta", AT), published)
    folder.replace_delta(1, xml)
    assert f"{SECOND}: {problem}" in folder.prove_step().differences


def test_a_file_that_cannot_be_read_is_damage(folder: Folder) -> None:
    folder.replace_delta(1, b"<enterprise>")
    assert folder.prove_step().damaged == [f"{delta_path(1)}: line 1: not well-formed XML"]


def test_records_out_of_order_are_damage(folder: Folder) -> None:
    xml = folder.files[SECOND].decode()
    first, second = fragment(ANNA), fragment(BO)
    folder.files[SECOND] = xml.replace(first, "\0").replace(second, first).replace("\0", second).encode()
    digest = sha256(folder.files[SECOND]).hexdigest()
    folder.snapshots[-1] = msgspec.structs.replace(folder.snapshots[-1], sha256=digest)
    assert "is not in the order of the keys" in folder.prove_step().damaged[0]
