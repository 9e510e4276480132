"""Ids: the same study and the same patient get the same id on every run, two patients never one (RULES B4, C1)."""

from __future__ import annotations

import hashlib

import pytest

from syncd.errors import StudyError
from syncd.mapping.values.identity import patient_key, resource_id, source_key
from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import IssuedId, Issuer, PatientFacts
from tests.mapping.studies import POLICY, archive, study

UIDS = ["1.2", "2.25.1", "1.2.003.4", "1." + "2" * 62]
NOT_UIDS = ["urn-study_A", "123", "1.2.", "1..2", "1.2.a", "1." + "2" * 63, "1.2 "]


def test_an_empty_uid_is_refused_whatever_the_policy() -> None:
    """RULES C1: a hash of nothing would be one id for every such study."""
    for policy in ("park", "verbatim"):
        with pytest.raises(StudyError, match="uid-not-oid"):
            resource_id("", bad_uid=policy)


@pytest.mark.parametrize("uid", UIDS)
def test_a_uid_is_the_id(uid: str) -> None:
    """RULES C1: leading zeros pass."""
    assert resource_id(uid, bad_uid="park") == uid


@pytest.mark.parametrize("uid", NOT_UIDS)
def test_what_is_no_uid_is_parked_or_hashed(uid: str) -> None:
    """RULES C1: parked `uid-not-oid`, or published under `x-` and 48 digits; the message does not repeat the value."""
    with pytest.raises(StudyError) as refused:
        resource_id(uid, bad_uid="park")
    assert refused.value.reason == "uid-not-oid"
    assert uid not in str(refused.value)
    assert resource_id(uid, bad_uid="verbatim") == "x-" + hashlib.sha256(uid.encode()).hexdigest()[:48]


def with_id(value: str, issuer: Issuer | None = None) -> PatientFacts:
    return PatientFacts(ids=(IssuedId(value=value, issuer=issuer),))


def test_the_patients_id_is_a_digest_of_system_and_value() -> None:
    """RULES B4: `pat-` and 40 hex digits of SHA-256 over the JSON list [system, value]."""
    policy = archive(patient_id_system="http://hosp.example/pid")
    key = patient_key(study(patient=with_id("Ä 0123")), policy=policy)
    digest = hashlib.sha256('["http://hosp.example/pid","Ä 0123"]'.encode()).hexdigest()[:40]
    assert (key.system, key.value, key.resource_id) == ("http://hosp.example/pid", "Ä 0123", f"pat-{digest}")


def test_without_a_system_archive_and_issuer_are_part_of_the_key() -> None:
    """RULES B4, MAPPING I case 13: an unmapped issuer keeps two patients apart."""
    key = patient_key(study(patient=with_id("123", Issuer(local="HOSP-C"))), policy=POLICY)
    assert key.resource_id == "pat-" + hashlib.sha256(b'["orthanc","HOSP-C","123"]').hexdigest()[:40]
    assert (key.system, key.issuer) == ("", "HOSP-C")


def test_one_number_from_different_issuers_is_different_patients() -> None:
    """MAPPING I case 13: mapped to two systems, unmapped, qualified, none: nobody shares an id."""
    policy = archive(issuers={"HOSP-A": "http://a.example", "HOSP-B": "http://b.example"})
    issuers = [
        None,
        Issuer(local="HOSP-A"),
        Issuer(local="HOSP-B"),
        Issuer(local="HOSP-C"),
        Issuer(local="HOSP-C", universal_id="c.example", universal_type="DNS"),
        Issuer(universal_id="HOSP-C", universal_type="DNS"),
    ]
    ids = {patient_key(study(patient=with_id("123", issuer)), policy=policy).resource_id for issuer in issuers}
    assert len(ids) == len(issuers)


def test_a_list_and_not_a_joined_text_is_hashed() -> None:
    """RULES B4: moving a character from issuer to value is another patient."""
    one = patient_key(study(patient=with_id("23", Issuer(local="A,1"))), policy=POLICY)
    other = patient_key(study(patient=with_id("1,23", Issuer(local="A"))), policy=POLICY)
    assert one.resource_id != other.resource_id


def test_without_a_patient_id_the_study_is_the_key() -> None:
    """MAPPING I case 11: two such studies never share a Patient."""
    nobody = PatientFacts()
    key = patient_key(study(patient=nobody), policy=POLICY)
    assert key.resource_id == "pat-" + hashlib.sha256(f"noid|{study().study_uid}".encode()).hexdigest()[:40]
    assert key.unidentified
    other = patient_key(study(patient=nobody, study_uid=StudyInstanceUID("1.2.3")), policy=POLICY)
    assert other.resource_id != key.resource_id


def test_studies_sort_by_date_then_time_then_uid() -> None:
    """RULES B4: the greatest study speaks for the Patient; absent parts sort first."""
    in_order = [
        study(study_uid=StudyInstanceUID("1.9")),
        study(study_date="20250101", study_time="235959"),
        study(study_date="20260101"),
        study(study_date="20260101", study_time="09"),
        study(study_date="20260101", study_time="0915"),
        study(study_date="20260101", study_time="091500.5"),
        study(study_date="20260101", study_time="091501"),
        study(study_date="20260101", study_time="091501", study_uid=StudyInstanceUID("2.26")),
    ]
    keys = [source_key(snapshot) for snapshot in in_order]
    assert keys == sorted(set(keys))
