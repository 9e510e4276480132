"""Studies of several orders (IHE grouped procedures) and of mixed series: read from real Orthancs, found on a real HAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName
from syncd.model.snapshot import Issuer
from syncd.model.words import Decision
from syncd.snapshot.build import build
from tests.dicom import make_instance, uid
from tests.real.test_provenance import ORDERS, RealWorld, new_site, server
from tests.servers import PASSWORD, USERNAME, Archive

__all__ = ["new_site", "server"]

pytestmark = pytest.mark.real

RT_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"


def asked_for(*accessions: str) -> list[dict[str, Any]]:
    """Request Attributes Sequence (0040,0275), one item for each order."""
    return [{"AccessionNumber": one, "RequestedProcedureID": f"RP-{one}"} for one in accessions]


def test_an_archive_of_either_version_tells_of_every_order(either: Archive) -> None:
    """RULES B9, PS3.3 10.6: the requests of every series, beside (0008,0050); an issuer goes with its number only."""
    study, by_ris = uid("grouped"), [{"LocalNamespaceEntityID": "RIS"}]
    head: dict[str, Any] = {"study_uid": study, "AccessionNumber": "A1"}
    either.clear()
    either.upload(make_instance(**head, RequestAttributesSequence=asked_for("A1", "A2")))
    either.upload(make_instance(**head, modality="MR", SeriesNumber=2, IssuerOfAccessionNumberSequence=by_ris))
    either.upload(make_instance(**head, number=7, sop_class=RT_STRUCTURES, RequestAttributesSequence=asked_for("A1")))
    reader = OrthancArchive(
        ArchiveConnection(name=ArchiveName("orthanc"), url=either.url, username=USERNAME, password=PASSWORD)
    )
    try:
        (listed,) = reader.inventory()
        snapshot = build(reader.read_study(listed.orthanc_id))
    finally:
        reader.close()
    assert [(one.value, one.issuer) for one in snapshot.accessions] == [("A1", Issuer(local="RIS")), ("A2", None)]
    assert [one.modalities for one in snapshot.series] == [("CT", "RTSTRUCT"), ("MR",)]
    assert not [note for note in snapshot.notes if note.safety]


def test_a_study_is_found_by_each_of_its_orders(new_site: Callable[..., RealWorld]) -> None:
    """RULES B9: both in `basedOn`, and where the version says so among the identifiers; valid, and never written twice."""
    site = new_site(service_request="match", accession_in_identifier=True)
    first, second = (f"A{number}-{site.number}" for number in (1, 2))
    site.foreign(
        {
            "resourceType": "ServiceRequest",
            "id": f"second-{site.number}",
            "status": "active",
            "intent": "order",
            "subject": {"display": "somebody"},
            "identifier": [{"system": ORDERS, "value": second}],
        }
    )
    site.published(site.uid, AccessionNumber=first, RequestAttributesSequence=asked_for(first, second))
    study = site.get(f"ImagingStudy/{site.uid}")
    assert [one["identifier"]["value"] for one in study["basedOn"]] == [first, second]
    assert site.hapi.errors_in(study) == []
    on = "basedon" if site.context.fhir_version == "r4" else "based-on"
    for query in (
        f"identifier={ORDERS}|{first}",
        f"identifier={ORDERS}|{second}",
        f"{on}=ServiceRequest/second-{site.number}",
        f"{on}:ServiceRequest.identifier={ORDERS}|{second}",
    ):
        assert [one["id"] for one in site.find(f"ImagingStudy?{query}")] == [site.uid], query
    site.mark(site.uid, read_fhir=True)
    assert [one.decision for one in site.work()] == [Decision.SKIP]
