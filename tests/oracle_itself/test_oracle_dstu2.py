"""The oracle before a DSTU2 server: agreement of a pair, and one deliberate error per field that DSTU2 says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle_itself import pair
from tests.oracle_itself.test_oracle_fails import compared

Resources = dict[str, dict[str, Any]]

CHEST = f"ImagingStudy/{pair.CHEST}"
CT = f"series[{pair.CT_SERIES}]"
DICM = "http://nema.org/dicom/dicm"


def resources() -> Resources:
    """What a DSTU2 server holds, equal to `pair.instances`."""
    found = pair.resources()
    patient = found["Patient/pat-1"]
    patient["name"][0]["family"] = ["Doe"]
    kept = {key: one for key, one in found.items() if key.startswith("Patient/")}
    return kept | {key: _older(one) for key, one in found.items() if key.startswith("ImagingStudy/")}


def _older(study: dict[str, Any]) -> dict[str, Any]:
    uid, *accessions = study.pop("identifier")
    address = f"{pair.DICOMWEB}/studies/{study['id']}"
    modalities = [{"system": DICM, "code": one["code"]} for one in study.pop("modality") if one["code"] != "SR"]
    for series in study["series"]:
        series |= {"url": f"{address}/series/{series['uid']}", "availability": "ONLINE"}
        series["modality"]["system"] = DICM
        for one in series["instance"]:
            one["content"] = [{"url": f"{series['url']}/instances/{one['uid']}"}]
            one |= {"uid": f"urn:oid:{one['uid']}", "sopClass": one["sopClass"]["code"]}
        series["uid"] = f"urn:oid:{series['uid']}"
    for name in ("status", "endpoint", "basedOn"):
        study.pop(name, None)
    said = {"uid": uid["value"], "patient": study.pop("subject"), "availability": "ONLINE", "url": address}
    said |= {"modalityList": modalities}
    if accessions:
        said |= {"accession": accessions[0], "order": [{"display": accessions[0]["value"]}]}
    return study | said


def put(value: Any, *keys: Any, of: str = CHEST) -> Callable[[Resources], None]:
    def spoil(held: Resources) -> None:
        at: Any = held[of]
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return spoil


def test_a_pair_that_agrees_is_found_equal() -> None:
    """MAPPING M."""
    report = compared(resources())
    assert (report.agrees, len(report.compared)) == (True, 2), report.lines()


ERRORS: list[tuple[list[str], Callable[[Resources], None]]] = [
    (["identifier"], put("2.25.100", "uid")),
    (["identifier"], put({"value": "A1"}, "accession")),
    (["status"], put("OFFLINE", "availability")),
    (["meta.tag"], put({}, "meta")),
    (["basedOn"], put([], "order")),
    (["basedOn"], put([{"display": "A2"}], "order")),
    (["modality"], put([], "modalityList")),
    (["modality"], put(pair.DCM, "modalityList", 0, "system")),
    (["started"], put("2026", "started")),
    (["numberOfSeries"], put(3, "numberOfSeries")),
    (["endpoint.address", f"{CT}.description", f"series[{pair.SR_SERIES}].description"], put("https://x.test/1", "url")),
    (["subject.name"], put(["Deo"], "name", 0, "family", of="Patient/pat-1")),
    ([f"{CT}.modality"], put("MR", "series", 0, "modality", "code")),
    ([f"{CT}.description"], put("OFFLINE", "series", 0, "availability")),
    ([f"{CT}.numberOfInstances"], put(1, "series", 0, "numberOfInstances")),
    ([f"{CT}.instance[2.25.111].sopClass"], put("1.2.3", "series", 0, "instance", 0, "sopClass")),
    ([f"{CT}.instance[2.25.111].number"], put(7, "series", 0, "instance", 0, "number")),
]


@pytest.mark.parametrize(("paths", "spoil"), ERRORS)
def test_one_error_is_one_difference(paths: list[str], spoil: Callable[[Resources], None]) -> None:
    """The oracle can fail: at the path of the error and at no other."""
    held = resources()
    spoil(held)
    report = compared(held)
    assert sorted({one.path for one in report.differences}) == sorted(paths)


@pytest.mark.parametrize(
    "spoil",
    [
        put("2.25.111", "series", 0, "instance", 0, "uid"),
        put([{"url": "https://x.test"}], "series", 0, "instance", 0, "content"),
        put("2.25.11", "series", 0, "uid"),
    ],
    ids=["no OID", "another address", "series without OID"],
)
def test_what_is_named_wrongly_is_another(spoil: Callable[[Resources], None]) -> None:
    """An instance or series under another name is both missing and too much."""
    held = resources()
    spoil(held)
    assert not compared(held).agrees


def test_what_is_unavailable_is_missing() -> None:
    """MAPPING M: a study that the archive holds must be ONLINE."""
    held = resources()
    held[CHEST]["availability"] = "UNAVAILABLE"
    assert compared(held).missing == (pair.CHEST,)


def test_a_second_resource_of_one_uid_is_a_duplicate() -> None:
    """RULES C1: told by the listing."""
    held = resources()
    held["ImagingStudy/twin"] = {**held[CHEST], "id": "twin", "meta": {}}
    report: oracle.Report = compared(held)
    assert len(report.duplicate) == 1
