"""MAPPING C.3 and C.4: text and numbers as FHIR may hold them."""

from __future__ import annotations

import pytest

from syncd.snapshot.values.numbers import number_of_frames, unsigned_int
from syncd.snapshot.values.text import charset_suspect, clean, join_values, values
from tests.snapshot.studies import Heard


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.2.3\x00", "1.2.3"),
        ("  CT Thorax ", "CT Thorax"),
        ("   ", ""),
        ("\x1b$Babc\x1b(B", "$Babc(B"),
        ("a\x07b\x7fc", "abc"),
        ("line\r\n\tline", "line\r\n\tline"),
        ("\x00 \x00", ""),
        ("山田　太郎", "山田　太郎"),
        ("a\ud800b", "a\ufffdb"),
        (None, ""),
        ([{"0008,0100": "1"}], ""),
        (7, ""),
    ],
)
def test_text_is_trimmed_and_free_of_controls(value: object, expected: str) -> None:
    """MAPPING C.3, cases I.4 31 and 33."""
    assert clean(value) == expected


def test_several_values_are_split_and_joined() -> None:
    """MAPPING C.3: free text of several values is one line; empty values vanish."""
    assert values(" a\\\\ b \\") == ("a", "b")
    assert join_values("CT Thorax\\CT Abdomen") == "CT Thorax; CT Abdomen"
    assert join_values("\\ \\") == ""


@pytest.mark.parametrize(
    ("text", "suspect"),
    [("Müller".encode().decode("latin-1"), True), ("Müller", False), ("Mueller", False), ("山田", False), ("\ud800", False)],
)
def test_utf8_read_as_latin1_is_recognised(text: str, suspect: bool) -> None:
    """MAPPING I.2 case 14."""
    assert charset_suspect(text) is suspect


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", 4),
        (" 4 ", 4),
        ("+4", 4),
        ("0004", 4),
        ("0", 0),
        ("2147483647", 2147483647),
        ("2147483648", None),
        ("9" * 5000, None),
        ("-1", None),
        ("1.0", None),
        ("abc", None),
        ("1\\2", None),
        ("٣", None),
    ],
)
def test_a_number_is_an_unsigned_int_or_omitted(text: str, expected: int | None) -> None:
    """MAPPING C.4."""
    heard = Heard()
    assert unsigned_int(text, note=heard) == expected
    assert heard.rules == ([] if expected is not None else ["C.4"])


def test_an_empty_number_is_absent_without_a_rejection() -> None:
    """MAPPING C.4."""
    heard = Heard()
    assert unsigned_int(" ", note=heard) is None
    assert heard.said == []


@pytest.mark.parametrize(("text", "frames"), [("30", 30), ("1", 1), ("0", None), ("1A", None), ("", None)])
def test_frames_are_at_least_one(text: str, frames: int | None) -> None:
    """MAPPING C.4."""
    assert number_of_frames(text) == frames
