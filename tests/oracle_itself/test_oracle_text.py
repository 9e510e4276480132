"""The oracle's reading of bytes against the standard's own examples: what is told, what is open, and nothing else."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.dicom import make_instance
from tests.oracle_archive import NOTHING, Header
from tests.oracle_text import read

YAMADA = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
ZHANG = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="


@pytest.mark.parametrize(
    ("raw", "charset", "told"),
    [
        (b"ABC^D\\EF^G", "ISO_IR 13", ["ABC^D", "EF^G"]),
        (b"Buc^J\xe9r\xf4me", "ISO_IR 100", ["Buc^Jérôme"]),
        ("Müller^Jörg".encode(), "ISO_IR 192", ["Müller^Jörg"]),
        ("Preis\\¥ 5".encode(), "ISO_IR 192", ["Preis", "¥ 5"]),
        ("Люкceмбypг".encode("iso8859_5"), "ISO_IR 144", ["Люкceмбypг"]),
        (YAMADA, "ISO 2022 IR 13\\ISO 2022 IR 87", ["ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"]),
        (b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "\\ISO 2022 IR 87", ["Yamada^Tarou=山田^太郎"]),
        (HONG, "\\ISO 2022 IR 149", ["Hong^Gildong=洪^吉洞=홍^길동"]),
        (ZHANG, "\\ISO 2022 IR 58", ["Zhang^XiaoDong=张^小东="]),
        ("Wang^XiaoDong=王^小东=".encode("gb18030"), "GB18030", ["Wang^XiaoDong=王^小东="]),
        (b"\x1b$B!@\x1b(B\\B", "\\ISO 2022 IR 87", ["＼", "B"]),
        (b"\x1b$B%\\\x1b(B\\B", "\\ISO 2022 IR 87", ["ボ", "B"]),
        ("誠\\B".encode("gb18030"), "GB18030", ["誠", "B"]),
        (b"\x81\x5c\\B", "GB18030", [b"\x81\x5c".decode("gb18030"), "B"]),
    ],
)
def test_what_the_character_set_says_is_told(raw: bytes, charset: str, told: list[str]) -> None:
    """PS3.5 6.1.2.3 (separated before decoded, unless the byte is half of a character), annexes H, I, J, K."""
    found = read(raw, tuple(charset.split("\\")), vr="PN")
    assert (found.certain, list(found.possible[0])) == (True, told)


@pytest.mark.parametrize(
    ("raw", "charset", "possible"),
    [
        ("Müller^Jörg".encode(), "ISO IR 192", {"Müller^Jörg"}),
        ("Müller^Jörg".encode(), "UTF-8", {"Müller^Jörg"}),
        ("Müller^Jörg".encode(), "ISO_IR 100", {"Müller^Jörg"}),
        ("Müller^Jörg".encode(), "", {"Müller^Jörg"}),
        (b"M\xfcller", "", {"Müller"}),
        (b"M\xfcller", "ISO_IR 192", set()),
        (b"M\xfcller", "ISO IR 100", {"Müller"}),
        (b"O\x92Neil", "ISO_IR 100", {"O’Neil"}),
        (b"\x1b$B;3ED\x1b(B", "ISO_IR 100", {"山田"}),
        ("山田".encode("shift_jis"), "ISO_IR 13", {"山田"}),
        ("张".encode("gb18030"), "ISO_IR 192", set()),
    ],
)
def test_what_the_character_set_cannot_mean_is_left_out_or_true(raw: bytes, charset: str, possible: set[str]) -> None:
    """RULES B11: never another text."""
    found = read(raw, tuple(charset.split("\\")) if charset else (), vr="LO")
    assert not found.certain
    assert possible <= {one for (one,) in found.possible}
    assert not {text for (text,) in found.possible} & {"MÃ¼ller^JÃ¶rg", "M�ller", "O\x92Neil", "Mller^Jrg"}
    assert found.in_case(NOTHING) is None


@pytest.mark.parametrize(
    ("text", "vr", "certain"),
    [
        ("=".join("Ä" * 60 for _ in range(3)), "PN", True),
        ("x" * 400, "LO", False),
        ("\\".join("x" * 60 for _ in range(7)), "LO", True),
        ("x" * 1000, "ST", True),
        ("x" * 100, "LO", True),
    ],
)
def test_a_long_value_is_whole_and_may_be_left_out_only_where_its_vr_forbids_it(text: str, vr: str, certain: bool) -> None:
    """PS3.5 6.2; RULES B11: never cut."""
    found = read(text.encode(), ("ISO_IR 192",), vr=vr)
    assert (found.certain, found.possible) == (certain, (tuple(text.split("\\")),))


def _read(**tags: object) -> Header:
    return Header.of(pydicom.dcmread(BytesIO(make_instance(**tags)), stop_before_pixels=True))  # type: ignore[arg-type]


def test_bytes_without_a_character_set_are_never_mojibake() -> None:
    """MAPPING I case 14, as RULES B11 has it: UTF-8 is what it is, or nothing."""
    header = _read(SpecificCharacterSet=None, StudyDescription="Müller".encode())
    assert header.text(0x00081030) == "Müller"
    assert header.in_case(NOTHING).untold(0x00081030)
    assert header.in_case(NOTHING).texts(0x00081030) == []


def test_an_item_is_in_its_files_character_set_unless_it_names_its_own() -> None:
    """PS3.3 C.12.1.1.2."""
    title, other = Dataset(), Dataset()
    title.add_new(0x00080104, "LO", "Schlüsselbild")
    other.SpecificCharacterSet = "ISO_IR 100"
    other.add_new(0x00080104, "LO", "Schlüsselbild")
    header = _read(SpecificCharacterSet="ISO_IR 192", ConceptNameCodeSequence=[title, other])
    assert [item.text(0x00080104) for item in header.items(0x0040A043)] == ["Schlüsselbild"] * 2
