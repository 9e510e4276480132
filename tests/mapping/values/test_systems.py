"""Who assigned what: the issuer rule and the coding schemes; a URI is never invented (MAPPING B, C.5)."""

from __future__ import annotations

import pytest

from syncd.mapping.values.systems import Authority, authority, scheme_system
from syncd.model.snapshot import Code, Issuer

ISSUERS = {"HOSP-A": "http://a.example", "b.example": "http://b.example"}

RULE = [
    (Issuer(universal_id="2.25.77", universal_type="ISO"), Authority("urn:oid:2.25.77", "")),
    (Issuer(local="HOSP-A", universal_id="2.25.77", universal_type="ISO"), Authority("urn:oid:2.25.77", "")),
    (Issuer(universal_id="2.025.77", universal_type="ISO"), Authority("", "2.025.77")),
    (
        Issuer(universal_id="123E4567-E89B-12D3-A456-426614174000", universal_type="UUID"),
        Authority("urn:uuid:123e4567-e89b-12d3-a456-426614174000", ""),
    ),
    (Issuer(universal_id="not a uuid", universal_type="UUID"), Authority("", "not a uuid")),
    (Issuer(universal_id="https://x.example/p", universal_type="URI"), Authority("https://x.example/p", "")),
    (Issuer(universal_id="relative/p", universal_type="URI"), Authority("", "relative/p")),
    (Issuer(universal_id="urn:oid:1.02", universal_type="URI"), Authority("", "urn:oid:1.02")),
    (Issuer(universal_id="b.example", universal_type="DNS"), Authority("http://b.example", "")),
    (Issuer(local="HOSP-A"), Authority("http://a.example", "")),
    (Issuer(local="HOSP-A", universal_id="c.example", universal_type="DNS"), Authority("http://a.example", "")),
    (Issuer(local="HOSP-C"), Authority("", "HOSP-C")),
    (Issuer(local="HOSP-C", universal_id="c.example", universal_type="DNS"), Authority("", "HOSP-C")),
    (None, Authority("http://default.example", "")),
    (Issuer(), Authority("http://default.example", "")),
]


@pytest.mark.parametrize(("issuer", "expected"), RULE)
def test_the_issuer_rule(issuer: Issuer | None, expected: Authority) -> None:
    """MAPPING B: qualifiers, then the site's map, then the default only where no issuer is given at all."""
    assert authority(issuer, issuers=ISSUERS, default="http://default.example") == expected


SCHEMES = [
    (Code(value="1", scheme="SCT"), "http://snomed.info/sct"),
    (Code(value="1", scheme="DCM"), "http://dicom.nema.org/resources/ontology/DCM"),
    (Code(value="1", scheme="LN"), "http://loinc.org"),
    (Code(value="1", scheme="ISO5218_1"), "http://dicom.nema.org/resources/ontology/DCM"),
    (Code(value="1", scheme="99HOSP", scheme_uid="2.25.5"), "urn:oid:2.25.5"),
    (Code(value="1", scheme="99HOSP", scheme_uid="2.05"), ""),
    (Code(value="1", scheme="99HOSP"), ""),
    (Code(value="1", scheme="L"), ""),
    (Code(value="1", scheme="sct"), ""),
]


@pytest.mark.parametrize(("code", "expected"), SCHEMES)
def test_a_designator_is_never_a_system(code: Code, expected: str) -> None:
    """MAPPING C.5."""
    assert scheme_system(code) == expected
