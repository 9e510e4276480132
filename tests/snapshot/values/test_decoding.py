"""RULES B11, MAPPING C.3: what a doubtful text says is shown from its bytes, or it is left out and noted."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes

from syncd.model.study.raw import Tags, Undecoded
from syncd.model.study.reading import Reading
from syncd.snapshot.build import build
from syncd.snapshot.values.character_sets import character_sets, read_in
from syncd.snapshot.values.decoding import LEFT_OUT, MISSPELT, READ_AS_UTF8, UNDECLARED, UNNAMED, Decoded, decode
from syncd.snapshot.values.tags import UNREADABLE, readable
from tests.snapshot.studies import CT, series, study

MULLER = "Müller^Jörg"
CYRILLIC = "Люксембург"


def read(value: bytes, named: str, **reading: object) -> Decoded:
    return decode(Undecoded(value=value, character_set=named), reading=Reading(**reading))  # type: ignore[arg-type]


YAMADA = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
YAMADA_13 = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
ZHANG = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="

OF_THE_STANDARD = [
    ("\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう"),  # PS3.5 H.3.1
    ("ISO 2022 IR 13\\ISO 2022 IR 87", YAMADA_13, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),  # PS3.5 H.3.2
    ("\\ISO 2022 IR 149", HONG, "Hong^Gildong=洪^吉洞=홍^길동"),  # PS3.5 I.2
    ("\\ISO 2022 IR 58", ZHANG, "Zhang^XiaoDong=张^小东="),  # PS3.5 K.2
    ("ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Wang^XiaoDong=王^小東="),  # PS3.5 J.1
    ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "Wang^XiaoDong=王^小东="),  # PS3.5 J.2
    ("\\ISO 2022 IR 100\\ISO 2022 IR 144", b"Buc^J\x1b-A\xe9r\xf4me=\x1b-L\xbb\xee", "Buc^Jérôme=Лю"),
    ("ISO_IR 144", CYRILLIC.encode("iso8859_5"), CYRILLIC),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
]


@pytest.mark.parametrize(("named", "value", "text"), OF_THE_STANDARD)
def test_what_is_in_the_sets_named_is_read_without_a_word(named: str, value: bytes, text: str) -> None:
    """PS3.3 C.12.1.1.2; PS3.5 6.1.2 and annexes H to K: nothing is odd about it."""
    assert read(value, named) == Decoded(text=text)


@pytest.mark.parametrize(("named", "value", "text"), [one for one in OF_THE_STANDARD if one[0] != "\\ISO 2022 IR 58"])
def test_pydicom_reads_the_examples_alike(named: str, value: bytes, text: str) -> None:
    """Two readers, one text. (pydicom 3.0 leaves the escape sequences of ISO 2022 IR 58 in the text.)"""
    assert decode_bytes(value, convert_encodings(named.split("\\")), {0x5C, 0x5E, 0x3D}) == text


@pytest.mark.parametrize(
    ("named", "value", "values"),
    [
        ("ISO_IR 13", b"ABC^D\\EF^G", ["ABC^D", "EF^G"]),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf^\xc0\\EF^G", ["ﾔﾏ^ﾀ", "EF^G"]),
        ("\\ISO 2022 IR 87", b"A^B\\\x1b$B;3ED\x1b(B^C\\EF^G", ["A^B", "山田^C", "EF^G"]),
        ("\\ISO 2022 IR 87", b"A\\\x1b$B\x4e\x5c\x1b(B\\B", ["A", "瑠", "B"]),  # a kanji whose second byte is 5CH
        ("GB18030", "俓^a\\b".encode("gb18030"), ["俓^a", "b"]),  # 俓 is 82H 5CH
        ("ISO 2022 IR 13¥ISO 2022 IR 87", b"\xd4\\\xcf", ["ﾔ", "ﾏ"]),  # the archive's own way to write the delimiter
    ],
)
def test_5ch_separates_values_where_it_is_no_part_of_a_character(named: str, value: bytes, values: list[str]) -> None:
    """PS3.5 6.1.2.3, RULES B11: two operators are two."""
    assert read(value, named).text.split("\\") == values


@pytest.mark.parametrize(
    "named",
    [
        "ISO IR 192",
        "ISO-IR 192",
        "ISO_IR192",
        "ISO_IR_192",
        "iso_ir 192",
        "ISO 2022 IR 192",
        "UTF8",
        "UTF-8",
        "utf-8",
        "IR 192",
        "ISO_IR 192\\ISO 2022 IR 87",
    ],
)
def test_a_misspelt_term_is_the_one_that_can_only_be_meant(named: str) -> None:
    """RULES B11: Müller, Jörg, not Mller, Jrg; and it is said."""
    assert read(MULLER.encode(), named) == Decoded(text=MULLER, done=MISSPELT)


@pytest.mark.parametrize(
    ("named", "value"),
    [
        ("ISO_IR 192", MULLER.encode("latin-1")),  # Latin-1 under the label UTF-8
        ("ISO IR 192", MULLER.encode("latin-1")),
        ("", MULLER.encode("latin-1")),  # nothing declared
        ("ISO_IR 6", MULLER.encode("latin-1")),
        ("KLINGON", MULLER.encode("latin-1")),
        ("ISO_IR 100", b"M\x81\x9aller"),  # a set of DOS: C1 controls
        ("ISO_IR 100", "Patient’s".encode("cp1252")),
        ("ISO_IR 13", "山田ソ^太郎".encode("shift_jis")),  # JIS X 0201 has no kanji
        ("\\ISO 2022 IR 87", b"\x1b$B;3E"),  # half a character
        ("\\ISO 2022 IR 87", b"\x1b$%A1"),  # an escape sequence of no set of DICOM
        ("\\ISO 2022 IR 149", b"Hong=\xfb\xf3"),  # the escape sequence is missing
        ("ISO_IR 192", "M\ufffdller".encode()),  # lost before it was written
        ("ISO_IR 192", "A\x85B".encode()),
    ],
)
def test_what_is_in_no_set_named_is_left_out(named: str, value: bytes) -> None:
    """RULES B11: no other set is tried out."""
    assert read(value, named) == Decoded(text="", done=LEFT_OUT)


@pytest.mark.parametrize("named", ["", "ISO_IR 6", "ISO_IR 100", "ISO_IR 100\\ISO_IR 192", "ISO 2022 IR 100", "KLINGON"])
def test_utf8_under_a_label_that_says_nothing_of_it_is_utf8_and_noted(named: str) -> None:
    """RULES B11, MAPPING C.3: `MÃ¼ller` is nobody's name; a site may have it left out instead."""
    assert read(MULLER.encode(), named) == Decoded(text=MULLER, done=READ_AS_UTF8)
    assert read(MULLER.encode(), named, repair_utf8=False) == Decoded(text="", done=LEFT_OUT)


def test_a_site_may_say_what_its_undeclared_images_are_written_in() -> None:
    """MAPPING C.3: by its word, noted; never by trying."""
    assert read(MULLER.encode("latin-1"), "", undeclared_charset="ISO_IR 100") == Decoded(text=MULLER, done=UNDECLARED)
    assert read(MULLER.encode("latin-1"), "ISO_IR 6", undeclared_charset="ISO_IR 100").text == ""
    assert read(MULLER.encode(), "", undeclared_charset="ISO_IR 100") == Decoded(text=MULLER, done=READ_AS_UTF8)
    assert read(CYRILLIC.encode("iso8859_5"), "\\", undeclared_charset="ISO_IR 144").text == CYRILLIC


def test_escape_sequences_name_their_set_themselves() -> None:
    """PS3.5 6.1.2.5: registered, so the text is shown; that (0008,0005) does not name the set is noted."""
    expected = Decoded(text="Yamada^Tarou=山田^太郎=やまだ^たろう", done=UNNAMED)
    assert read(YAMADA, "ISO_IR 100") == read(YAMADA, "") == expected


@pytest.mark.parametrize("named", ["", "ISO_IR 13", "ISO IR 192", "KLINGON", "ISO_IR 192"])
def test_ascii_is_the_same_in_every_set(named: str) -> None:
    """PS3.5 6.1.2.1: nothing is odd, however it is labelled."""
    assert read(b"Doe^Jane \0", named) == Decoded(text="Doe^Jane")


@given(value=st.binary(max_size=40), named=st.sampled_from([one for one, _, _ in OF_THE_STANDARD]) | st.text(max_size=20))
def test_any_bytes_are_read_as_a_whole_or_not_at_all(value: bytes, named: str) -> None:
    """RULES B11: nothing raises, and what is read in a set can be written in it again."""
    text = read(value, named).text
    assert "\ufffd" not in text and not any("\x80" <= one <= "\x9f" for one in text)


@given(text=st.text(st.characters(codec="gb18030", exclude_categories=["C"]), max_size=20))
def test_what_was_written_in_a_set_is_read_in_it(text: str) -> None:
    """PS3.3 C.12.1.1.2."""
    for named, codec in (("GB18030", "gb18030"), ("ISO_IR 192", "utf-8")):
        sets = character_sets(named)
        assert sets is not None
        found = read_in(sets, text.encode(codec))
        assert found is not None and found.text == text


# -- in a snapshot ---------------------------------------------------------------------------------------------------


def undecoded(value: bytes, named: str) -> Undecoded:
    return Undecoded(value=value, character_set=named)


def test_two_operators_are_two() -> None:
    """RULES B11: `ABC^D\\EF^G` under ISO_IR 13, which Orthanc gives as one name with a yen sign."""
    tags: Tags = {"0008,0016": CT, "0008,0005": "ISO_IR 13", "0008,1070": undecoded(b"ABC^D\\EF^G", "ISO_IR 13")}
    main = {"0008,1070": "ABC^D¥EF^G"}
    snapshot = build(study(series(representative=tags, main=main)))
    names = [one.name.alphabetic for one in snapshot.series[0].operators]
    assert [(one.family, one.given) for one in names if one] == [("ABC", "D"), ("EF", "G")]
    assert snapshot.notes == ()


@pytest.mark.parametrize(
    ("value", "named", "family", "note"),
    [
        (MULLER.encode(), "ISO IR 192", "Müller", ("0010,0010", MISSPELT, True)),
        (MULLER.encode(), "ISO_IR 100", "Müller", ("0010,0010", READ_AS_UTF8, True)),
        (MULLER.encode("latin-1"), "ISO IR 192", None, ("0010,0010", LEFT_OUT, True)),
    ],
)
def test_the_bytes_of_a_name_win_over_what_the_archive_made_of_them(
    value: bytes, named: str, family: str | None, note: tuple[str, str, bool]
) -> None:
    """RULES B11: never `Mller`, which the archive keeps as its main tag; what touches the identity is `safety`."""
    tags: Tags = {"0008,0016": CT, "0008,0005": named, "0010,0010": undecoded(value, named)}
    snapshot = build(study(series(representative=tags), main={"0010,0010": "Mller^Jrg"}))
    assert [one.alphabetic.family for one in snapshot.patient.names if one.alphabetic] == ([family] if family else [])
    assert [(one.tag, one.done, one.safety) for one in snapshot.notes] == [note]


def test_a_text_that_could_not_be_had_is_not_absent() -> None:
    """RULES B11: null is a limit of the transport; the main tag in its place may be cut or spoilt."""
    tags: Tags = {"0008,0016": CT, "0010,0010": None, "0008,1030": None}
    snapshot = build(study(series(representative=tags), main={"0010,0010": "Mller^Jrg"}))
    assert (snapshot.patient.names, snapshot.description) == ((), "")
    assert {(one.tag, one.done, one.safety) for one in snapshot.notes} == {
        ("0010,0010", UNREADABLE, True),
        ("0008,1030", UNREADABLE, False),
    }


def test_what_is_empty_is_absent_without_a_note() -> None:
    """RULES B11: an empty text is answered as such."""
    tags: Tags = {"0008,0016": CT, "0010,0010": "", "0008,1030": ""}
    assert build(study(series(representative=tags))).notes == ()


def test_texts_in_items_carry_their_own_character_set() -> None:
    """PS3.3 C.12.1.1.2: an item may name another one than the instance."""
    code = {"0008,0100": "P1", "0008,0102": "99X", "0008,0104": undecoded("Люк".encode("iso8859_5"), "ISO_IR 144")}
    tags: Tags = {"0008,0016": CT, "0008,0005": "ISO_IR 192", "0008,1032": [code]}
    [procedure] = build(study(series(representative=tags))).procedure_codes
    assert procedure.meaning == "Люк"


def test_a_spoilt_main_tag_yields_to_what_the_instance_says() -> None:
    """RULES B11: main tags have no character set to judge them by."""
    tags: Tags = {"0008,0016": CT, "0008,0005": "ISO_IR 192", "0010,0010": MULLER}
    for spoilt in ("M\x81\x9aller", "M\ufffdller", MULLER.encode().decode("latin-1")):
        snapshot = build(study(series(representative=tags), main={"0010,0010": spoilt}))
        assert [one.alphabetic.family for one in snapshot.patient.names if one.alphabetic] == ["Müller"]


@pytest.mark.parametrize("spoilt", ["M\x81\x9aller", "M\ufffdller"])
def test_a_spoilt_text_is_left_out_where_nothing_else_tells(spoilt: str) -> None:
    """RULES B11."""
    snapshot = build(study(series(), main={"0010,0010": spoilt}))
    assert snapshot.patient.names == ()
    assert [(one.tag, one.done, one.safety) for one in snapshot.notes] == [("0010,0010", LEFT_OUT, True)]


def test_a_yen_sign_separates_the_values_of_a_code_string() -> None:
    """PS3.5 6.1.2.2: CS is of the default repertoire, so `¥` can only be 5CH."""
    tags: Tags = {"0008,0016": CT, "0008,0005": "ISO_IR 13", "0018,0015": "CHEST¥NECK"}
    snapshot = build(study(series(representative=tags)))
    assert snapshot.series[0].body_part == ""
    assert "left out: several body parts" in {note.done for note in snapshot.notes}


def test_the_same_bytes_are_always_the_same_patient() -> None:
    """RULES B4: a PatientID beyond ASCII does not change with what the archive keeps of it as its main tag."""
    tags: Tags = {"0008,0016": CT, "0010,0020": undecoded("P-Ü1".encode(), "ISO IR 192")}
    ids = {build(study(series(representative=tags), main=main)).patient.ids for main in ({}, {"0010,0020": "P-1"})}
    assert [[one.value for one in each] for each in ids] == [["P-Ü1"]]


def test_values_to_compare_are_texts() -> None:
    """RULES B11: a rule of selection sees what is published."""
    tags: Tags = {"0010,0010": undecoded(MULLER.encode(), "ISO IR 192"), "0008,0060": "CT¥PT", "0008,1032": [{}]}
    expected = {"0010,0010": MULLER, "0008,0060": "CT\\PT", "0008,1032": [{}]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert readable(tags, reading=Reading()) == expected
