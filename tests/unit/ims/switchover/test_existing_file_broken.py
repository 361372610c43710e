"""Nightly files that cannot be read to their end: the error names the line, never its contents."""

from io import BytesIO

import pytest

from ims.switchover.existing_file import OldFileError, read_old_file
from tests.support.builders import a_birth_number

NUMBER = a_birth_number(1)


def records(file: bytes | str) -> list[object]:
    return [*read_old_file(BytesIO(file.encode() if isinstance(file, str) else file))]


def test_a_truncated_file_is_refused_with_its_line() -> None:
    with pytest.raises(OldFileError, match=r"line \d+: not well-formed XML; nothing was compared") as caught:
        records(f"<enterprise>\n<person><sourcedid><id>{NUMBER}</id></sourcedid>")
    assert NUMBER not in str(caught.value)


def test_the_parsers_quotation_of_the_file_is_not_repeated() -> None:
    with pytest.raises(OldFileError) as caught:
        records(f"<enterprise>\n<person><p{NUMBER}></person></enterprise>")
    assert str(caught.value) == "line 2: not well-formed XML; nothing was compared"
    assert caught.value.__cause__ is None


def test_undeclared_latin_letters_are_explained() -> None:
    with pytest.raises(OldFileError, match=r"line 1: .* encoding that its first line declares"):
        records("<enterprise><person><name><fn>Åse</fn></name></person></enterprise>".encode("iso-8859-1"))


@pytest.mark.parametrize("file", [b"<html/>", b"<persons><person/></persons>"])
def test_another_kind_of_file_is_refused(file: bytes) -> None:
    with pytest.raises(OldFileError, match="its root is not <enterprise>"):
        records(file)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(OldFileError, match=r"^the file is empty; nothing was compared$"):
        records(b"")


def test_a_letter_as_an_undefined_entity_is_named_with_its_line() -> None:
    file = b"<?xml version='1.0'?>\n<enterprise><person><name><fn>K&aring;re</fn></name></person></enterprise>"
    with pytest.raises(OldFileError, match=r"^line 2: an entity that is not defined"):
        records(file)


def test_entities_are_neither_expanded_nor_fetched() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    file = f"""<!DOCTYPE enterprise [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]>
<enterprise><person><name><fn>&l9;</fn></name></person></enterprise>"""
    with pytest.raises(OldFileError, match="nothing was compared"):
        records(file)
    with pytest.raises(OldFileError, match="line 2: an entity in <person>"):
        records(file.replace("&l9;", "&f;"))
