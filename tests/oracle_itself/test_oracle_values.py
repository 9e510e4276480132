"""The oracle's own conversions against MAPPING's cases: a wrong oracle would call right things wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests import oracle, oracle_values
from tests.oracle_archive import Header
from tests.oracle_itself import pair


@pytest.mark.parametrize(
    ("day", "clock", "offset", "written"),
    [
        ("", "101500", "+0100", ""),
        ("20260301", "", "+0100", "2026-03-01"),
        ("20260301", "0915", "+0100", "2026-03-01T09:15:00+01:00"),
        ("20260301", "09", "+0100", "2026-03-01"),
        ("20161231", "235960.500000", "+0000", "2016-12-31T23:59:59.5+00:00"),
        ("20260701", "120000", "", "2026-07-01"),
        ("20260701", "2400", "+0100", "2026-07-01"),
        ("20260701", "120000", "+1500", "2026-07-01"),
        ("20260701", "120000", "-1400", "2026-07-01"),
        ("1999.02.31", "", "", ""),
        ("1999.02.03", "14:04:38", "-0500", "1999-02-03T14:04:38-05:00"),
        ("20260101-20260201", "", "", ""),
    ],
)
def test_a_moment_has_a_time_only_with_its_offset(day: str, clock: str, offset: str, written: str) -> None:
    """MAPPING I.1 and C.1."""
    assert oracle_values.moment(day, clock, offset) == written


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("00000000", ""),
        ("1970", "1970"),
        ("19700000", "1970"),
        ("19700500", "1970-05"),
        ("19701301", ""),
        ("19700131", "1970-01-31"),
    ],
)
def test_a_birth_date_may_be_partial(raw: str, written: str) -> None:
    """MAPPING C.1-10."""
    assert oracle_values.birth_date(raw) == written


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("", []),
        ("^^^^", []),
        ("=山田^太郎", [("山田", "太郎", "", "", "山田 太郎")]),
        ("Doe^Jane^Mary Ann^Dr.^MD^^", [("Doe", "Jane|Mary Ann", "Dr.", "MD", "Dr. Jane Mary Ann Doe MD")]),
        ("Doe", [("Doe", "", "", "", "Doe")]),
        ("Jane Doe", [("", "", "", "", "Jane Doe")]),
    ],
)
def test_a_name_has_one_human_name_per_group(raw: str, written: list[tuple[str, ...]]) -> None:
    """MAPPING C.2."""
    assert oracle_values.names(raw) == written


@pytest.mark.parametrize(
    ("raw", "number"),
    [("4 ".strip(), 4), ("0", 0), ("1.0", None), ("-1", None), ("2147483648", None), ("abc", None), ("", None)],
)
def test_a_number_is_an_unsigned_int_or_nothing(raw: str, number: int | None) -> None:
    """MAPPING C.4."""
    assert oracle_values.whole_number(raw) == number


@pytest.mark.parametrize(
    ("token", "sop_class", "coded"),
    [
        ("CT", pair.CT, f"{pair.DCM}|CT"),
        ("", pair.CT, f"{pair.DCM}|CT"),
        ("", "1.2.840.10008.5.1.4.1.1.7", oracle_values.ABSENT),
        ("DS", pair.CT, f"{pair.DCM}|DS"),
        ("DSA", pair.CT, "|DSA"),
        ("RTINTENT", pair.CT, f"{pair.DCM}|RTINTENT"),
        ("ct", pair.CT, f"{pair.DCM}|CT"),
        ("ct", pair.US, "|ct"),
    ],
)
def test_a_modality_is_never_invented_under_dcm(token: str, sop_class: str, coded: str) -> None:
    """MAPPING C.7."""
    assert oracle_values.modality(token, sop_class) == coded


@pytest.mark.parametrize(
    ("local", "universal", "kind", "found"),
    [
        ("", "2.25.77", "ISO", ("urn:oid:2.25.77", "")),
        ("HOSP", "2.25.077", "ISO", ("", "HOSP")),
        ("", "A-B", "UUID", ("urn:uuid:a-b", "")),
        ("", "http://example.org/ids", "URI", ("http://example.org/ids", "")),
        ("HOSP", "", "", ("", "HOSP")),
    ],
)
def test_no_identifier_system_is_invented(local: str, universal: str, kind: str, found: tuple[str, str]) -> None:
    """MAPPING B, the issuer rule."""
    item = Dataset()
    item.LocalNamespaceEntityID, item.UniversalEntityID, item.UniversalEntityIDType = local, universal, kind
    assert oracle_values.issuer([Header.of(item)], "PLAIN") == found


def test_controls_and_padding_are_no_text() -> None:
    """MAPPING C.3, I cases 31 and 33."""
    assert oracle_values.clean(" A\x07B\x1b\x00 ") == "AB"


def test_the_command_says_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit 0 only if both sides agree, and a report that names study and path."""
    resources = pair.resources()
    del resources[f"ImagingStudy/{pair.REPORT}"]
    listed = tmp_path / "parked.json"
    listed.write_text(json.dumps({pair.REPORT: "uid-not-oid"}))
    with pair.serving(pair.archive_answers(pair.instances())) as orthanc, pair.serving(pair.fhir_answers(resources)) as fhir:
        command = ["--orthanc", orthanc, "--fhir", fhir, "--dicomweb", pair.DICOMWEB]
        assert oracle.main([*command, "--accept-missing", str(listed)]) == 0
        assert "the two sides agree" in capsys.readouterr().out
        assert oracle.main([*command, "--accept-missing", f"{pair.REPORT}=by hand"]) == 0
        assert oracle.main(command) == 1
        assert f"missing    {pair.REPORT}" in capsys.readouterr().out


def test_a_server_that_cannot_be_read_is_no_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3: nothing can be said."""
    with pair.serving(pair.archive_answers(pair.instances())) as orthanc, pair.serving({}) as nothing:
        command = ["--dicomweb", pair.DICOMWEB, "--orthanc"]
        assert oracle.main([*command, orthanc, "--fhir", nothing]) in (1, 3)
        assert oracle.main([*command, nothing, "--fhir", orthanc]) == 3
    assert "Orthanc answered 404" in capsys.readouterr().out
    unreachable = "http://127.0.0.1:9"
    assert oracle.main([*command, unreachable, "--fhir", unreachable]) == 3
