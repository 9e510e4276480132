"""Orders that were found: literal references beside the identifiers that found them (MAPPING J.3)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.imagingstudy import available_study
from syncd.mapping.values.orders import OrderKey, order_keys, with_orders
from syncd.model.ids import ArchiveName
from syncd.model.snapshot import IssuedId, Issuer
from tests.mapping.studies import study

POLICY = MappingPolicy(
    archive=ArchivePolicy(name=ArchiveName("main"), accession_system="urn:oid:1.2", issuers={"RIS": "http://ris.test"})
)
ACCESSION, PLACED = OrderKey("urn:oid:1.2", "A-1"), OrderKey("http://ris.test", "P-1")


def resource(version: str = "r4", policy: MappingPolicy = POLICY) -> dict[str, Any]:
    issuer = Issuer(local="RIS")
    ordered = study(accessions=(IssuedId(value="A-1"),), placer_orders=(IssuedId(value="P-1", issuer=issuer),))
    who = {"reference": "Patient/p"} if version != "dstu2" else {"display": "somebody"}
    return available_study(ordered, subject=who, policy=policy, dialect=version)


@pytest.mark.parametrize("version", ["r4", "r4b", "r5", "r6"])
def test_what_was_found_stands_beside_the_identifier(version: str) -> None:
    """MAPPING J.3: in every version that has logical references; fit to be sent (B1)."""
    plain = resource(version)
    assert order_keys(plain) == (ACCESSION, PLACED)
    said = with_orders(plain, {ACCESSION: "o-1", PLACED: ""})
    assert said["basedOn"][0] == {"reference": "ServiceRequest/o-1", **plain["basedOn"][0]}
    assert said["basedOn"][1] == plain["basedOn"][1]
    assert problems(said, fhir_version=version) == ()


def test_one_order_is_named_once() -> None:
    """MAPPING J.3: accession and placer number may be the same order's."""
    said = with_orders(resource(), {ACCESSION: "o-1", PLACED: "o-1"})
    assert [one["reference"] for one in said["basedOn"]] == ["ServiceRequest/o-1"]


def test_where_nothing_was_found_nothing_changes() -> None:
    """MAPPING J.3: logical, as by default."""
    plain = resource()
    assert with_orders(plain, {ACCESSION: "", PLACED: ""}) == plain
    assert with_orders(plain, {}) == plain


def test_an_identifier_without_a_system_is_never_asked_for() -> None:
    """RULES B4, C9."""
    assert order_keys(resource(policy=MappingPolicy(archive=ArchivePolicy(name=ArchiveName("main"))))) == ()


def test_dstu2_shows_the_order_in_words_only() -> None:
    """MAPPING M: DiagnosticOrder, display only."""
    said = resource("dstu2")
    assert said["order"] == [{"display": "A-1"}]
    assert order_keys(said) == ()
    assert with_orders(said, {}) == said


def test_what_is_remembered_does_not_tell_the_accession() -> None:
    """RULES S1; and no two identifiers share a digest by being put together otherwise."""
    assert "A-1" not in ACCESSION.digest
    assert OrderKey("a", "b|c").digest != OrderKey("a|b", "c").digest
