"""Profiles (MAPPING H, B, E): what the guides demand is filled, what is missing is said, and nothing is invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.guides import GUIDES, require_guide, versions_of
from syncd.mapping.profiles.regions import regions
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import registered_study, withdrawn_study
from syncd.mapping.values.terms import body_part
from syncd.model.snapshot import (
    Code,
    Equipment,
    Institution,
    IssuedId,
    Issuer,
    KeyObject,
    StudySnapshot,
)
from syncd.settings.contradictions import PROFILE_VERSIONS
from tests.mapping.profile_studies import DCM, EU, MADO, broken_for_eu, broken_for_mado
from tests.mapping.studies import POLICY, archive, golden_study, instance, mapped, person, series, study, with_series

WRITTEN = sorted(GUIDES)
KO = "2.25.100000000000000000000000000000000201"


def policy(profile: str, **of_archive: Any) -> MappingPolicy:
    return replace(archive(accession_system="urn:oid:2.25.8", **of_archive), profile=profile)


def full_study() -> StudySnapshot:
    """MAPPING K's study with everything that the guides ask for."""
    golden = golden_study()
    ct, ko = golden.series
    ct = replace(
        ct,
        equipment=Equipment(manufacturer="Maker", model="Scan 3", uid="2.25.9"),
        institution=Institution(name="Hospital", code=Code(value="H1", scheme="99X", scheme_uid="2.25.70")),
        custodian=Institution(name="Archive Ltd"),
        instances=tuple(replace(one, frames=60) for one in ct.instances),
    )
    return replace(
        golden,
        procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),),
        series=(ct, ko),
        key_objects=(KeyObject(instance_uid=KO, title=Code(value="113000", scheme="DCM", meaning="Of Interest")),),
    )


def broken(resource: dict[str, Any], profile: str, version: str) -> list[str]:
    return list(broken_for_eu(resource, version) if profile == "eu" else broken_for_mado(resource))


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_a_study_with_everything_breaks_no_demand_of_its_guide(profile: str, version: str) -> None:
    """MAPPING H: the columns EU and MADO, and FHIR's own rules all the same."""
    resource = mapped(full_study(), policy(profile), dialect=version)
    assert broken(resource, profile, version) == []
    assert problems(resource, fhir_version=version) == ()


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_a_profile_only_adds_to_the_base_or_takes_what_it_says(profile: str, version: str) -> None:
    """MAPPING H, [D]: opt-in emitters; without one the output is the base's."""
    base = mapped(full_study(), policy(""), dialect=version)
    resource = mapped(full_study(), policy(profile), dialect=version)
    changed = {"meta", "extension", "identifier", "basedOn", "series"}
    assert {name: value for name, value in resource.items() if name not in changed} == {
        name: value for name, value in base.items() if name not in changed
    }
    assert "profile" not in base["meta"] and "extension" not in base


def test_eu_names_device_custodian_and_place_of_a_series() -> None:
    """MAPPING H, performer: slices PRF, DEV, CST and LOC, each once; the actor of PRF is no mere Practitioner."""
    for version in ("r4", "r5"):
        said = mapped(full_study(), policy("eu"), dialect=version)["series"][0]["performer"]
        assert [(one["function"]["coding"][0]["code"], one["actor"]) for one in said] == [
            ("PRF", {"display": "Lang"}),
            (
                "DEV",
                {
                    "type": "Device",
                    "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.9"},
                    "display": "Maker Scan 3",
                },
            ),
            ("CST", {"type": "Organization", "display": "Archive Ltd"}),
            (
                "LOC",
                {
                    "type": "Organization",
                    "identifier": {"system": "urn:oid:2.25.70", "value": "H1"},
                    "display": "Hospital",
                },
            ),
        ]


def test_further_physicians_stay_without_a_function() -> None:
    """MAPPING H: EU's slice holds one; nobody is lost."""
    two = with_series(series(performing_physicians=(person("Lang"), person("Lee")), operators=(person("Oh"),)))
    said = mapped(two, policy("eu"))["series"][0]["performer"]
    functions = [one.get("function", {}).get("coding", [{}])[0].get("code") for one in said]
    assert list(zip(functions, [one["actor"]["display"] for one in said], strict=True)) == [
        ("PRF", "Lang"),
        (None, "Lee"),
        ("SPRF", "Oh"),
    ]
    assert "further performing physician without a function" in told(two, policy("eu"))


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_frames_titles_and_descriptions_of_instances(profile: str, version: str) -> None:
    """MAPPING H, extensions; A.3: number of frames from 1 on."""
    image, document = (
        mapped(full_study(), policy(profile), dialect=version)["series"][place]["instance"][0].get("extension", [])
        for place in (0, 1)
    )
    if profile == "mado":
        title = {"coding": [{"system": DCM, "code": "113000", "display": "Of Interest"}]}
        assert image == [{"url": f"{MADO}MadoNumberOfFrames", "valueInteger": 60}]
        assert document == [{"url": f"{MADO}MadoKeyObjectDocumentTitle", "valueCodeableConcept": title}]
        return
    described = f"{EU[version]}ImagingStudyEuImagingInstanceDescription"
    assert image == [
        {"url": described, "valueString": "ORIGINAL\\PRIMARY\\AXIAL"},
        {"url": f"{EU[version]}NumberOfFrames", "valueInteger": 60},
    ]
    assert document == [{"url": described, "valueString": "Of Interest"}]


def test_a_title_outside_the_guides_value_set_is_not_said_and_noted() -> None:
    """MAPPING H, ko-document-title (required CID 7010); D.1: MADO's own title is none of it."""
    mine = KeyObject(instance_uid="2.25.101", title=Code(value="MADOTEMP001", scheme="99IHE"))
    odd = study(key_objects=(mine,), series=(series(modality="KO"),))
    assert "extension" not in mapped(odd, policy("mado"))["series"][0]["instance"][0]
    assert "key object title not said: none of CID 7010" in told(odd, policy("mado"))


@pytest.mark.parametrize(
    ("part", "eu", "mado"),
    [
        ("CHEST", ["67734004"], ["67734004"]),
        ("CHESTABDOMEN", ["67734004", "63337009"], ["67734004", "63337009"]),
        ("BRAIN", ["774007"], ["774007"]),
        ("LSPINE", ["737561001"], ["1141981001"]),
        ("HEART", ["80891009"], ["80891009"]),
        ("AORTA", [], []),
    ],
)
def test_a_region_is_that_in_which_the_body_site_lies(part: str, eu: list[str], mado: list[str]) -> None:
    """MAPPING H, anatomical-region: the guides' ten; a part that runs through several has none."""
    for guide, expected in ((GUIDES["eu", "r4"], eu), (GUIDES["mado", "r4"], mado)):
        assert [one.code for one in regions([body_part(part)], guide=guide)] == expected


ORDERS = (IssuedId(value="A1"), IssuedId(value="A2"), IssuedId(value="A3", issuer=Issuer(local="UNMAPPED")))


def test_the_accession_has_a_system_or_is_left_out_of_based_on() -> None:
    """MAPPING B, I case 34: EU and MADO need one; the configured system serves where no issuer is given, nobody else's."""
    odd = study(accessions=ORDERS, placer_orders=(IssuedId(value="P1"),))
    types = [[one["code"] for one in order["identifier"]["type"]["coding"]] for order in order_of(odd, "mado")]
    assert types == [["ACSN", "121022"]]
    assert [one["identifier"]["value"] for one in order_of(odd, "mado")] == ["A1"]
    eu = order_of(odd, "eu")
    assert [(one["identifier"]["value"], "type" in one["identifier"]) for one in eu] == [
        ("A1", True),
        ("A2", False),
        ("P1", True),
    ]
    for profile, beside in (("eu", "without its type in"), ("mado", "left out of")):
        said = told(odd, policy(profile))
        assert "accession left out of basedOn: no system, which the guide demands" in said
        assert f"further accession {beside} basedOn: the guide allows one" in said
    assert "placer or filler order left out" in told(odd, policy("mado"))


@pytest.mark.parametrize("profile", ["eu", "mado"])
def test_case_34_without_any_system_the_profile_reports_it(profile: str) -> None:
    """MAPPING I case 34: base keeps it without a system; the profile omits basedOn and says so."""
    plain = study(accessions=(IssuedId(value="A1001"),))
    bare = replace(POLICY, profile=profile)
    resource = mapped(plain, bare)
    assert "basedOn" not in resource
    assert [one["value"] for one in resource["identifier"][1:]] == ["A1001"]
    assert "no system, which the guide demands" in told(plain, bare)
    assert mapped(plain)["basedOn"][0]["identifier"].keys() == {"type", "value"}


def order_of(snapshot: StudySnapshot, profile: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = mapped(snapshot, policy(profile))["basedOn"]
    return found


def told(snapshot: StudySnapshot, by: MappingPolicy, version: str = "r4") -> str:
    """What the profile's notes of a study say."""
    found = notes(snapshot, policy=by, fhir_version=version)
    return "\n".join(one.done for one in found if one.rule == f"H {by.profile}")


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_what_a_study_misses_is_noted_per_study(profile: str, version: str) -> None:
    """MAPPING H: "never an invented value", said as notes of rule `H eu` or `H mado`, equal ones counted."""
    bare = with_series(series(number=None), series(uid="2.25.12"))
    said = told(bare, replace(archive(dicomweb_url=""), profile=profile), version)
    shared = ("accession number", "started", "description", "anatomical region", "endpoint of WADO-RS")
    own = (
        ("series.performer DEV (2 times)",) if profile == "eu" else ("procedure that can be shown", "RETRIEVE_LOCATION_UID")
    )
    for missing in (*shared, "series.bodySite (2 times)", *own):
        assert missing in said
    everything = policy(profile, retrieve_location_uid="2.25.4")
    assert told(replace(full_study(), series=full_study().series[:1]), everything, version) == ""


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_every_broken_demand_has_its_note(profile: str, version: str) -> None:
    """MAPPING H: a study that breaks the guide says so: nothing of it, no address, summary form."""
    poor = replace(archive(dicomweb_url=""), profile=profile)
    found = broken(mapped(study(), poor, summary=True, dialect=version), profile, version)
    assert bool(found) == (profile == "mado")
    assert not found or told(study(), poor, version)
    summary = replace(poor, max_instances=0)
    assert "summary form" in told(study(), summary, version)


def test_mado_points_each_series_to_a_wado_endpoint_of_its_kind() -> None:
    """MAPPING E, H: payload `none` and words; the archive's OID where the site gives it, and only then the claim."""
    for uid in ("", "2.25.4"):
        by = policy("mado", retrieve_location_uid=uid, viewer_url="https://view.example.org/app")
        wado, viewer = endpoints(by)
        assert wado["payloadType"] == [
            {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"}],
                "text": "DICOM WADO-RS",
            }
        ]
        assert wado["meta"].get("profile") == ([f"{MADO}MadoWadoEndpoint"] if uid else None)
        location = {"url": f"{MADO}MadoRetrieveLocationUIDExtension", "valueString": uid}
        assert wado.get("extension") == ([location] if uid else None)
        assert problems(wado) == ()
        assert viewer == endpoints(replace(by, profile=""))[1]
        for one in mapped(full_study(), by)["series"]:
            assert one["endpoint"] == [{"reference": f"Endpoint/{wado['id']}"}]


@pytest.mark.parametrize(("profile", "version"), WRITTEN)
def test_a_study_that_arrives_or_is_no_more_claims_only_what_it_can(profile: str, version: str) -> None:
    """MAPPING F.3, H: MADO knows no study without its counts; the UID's type is there throughout."""
    who = {"reference": "Patient/p-1"}
    for made in (
        registered_study(full_study(), subject=who, policy=policy(profile), dialect=version),
        withdrawn_study(full_study(), subject=who, policy=policy(profile), status="cancelled", dialect=version),
    ):
        assert ("profile" in made["meta"]) == (profile == "eu")
        assert profile == "mado" or not broken(made, profile, version)
        assert made["identifier"][0]["type"]["coding"][0]["code"] == "110180"
        assert problems(made, fhir_version=version) == ()


def test_a_profile_is_refused_where_it_is_not_written() -> None:
    """docs/settings.md, POLICY__PROFILE: only R4 for mado, R4 and R5 for eu; exit 2 is that of a ConfigurationError."""
    for profile in ("eu", "mado"):
        for version in VERSIONS:
            if version in versions_of(profile):
                require_guide(profile, fhir_version=version)
                continue
            with pytest.raises(ConfigurationError, match=f"SYNCD_POLICY__PROFILE is {profile}, .*not in {version}"):
                require_guide(profile, fhir_version=version)
    for version in VERSIONS:
        require_guide("", fhir_version=version)
    assert {name: versions_of(name) for name in ("eu", "mado")} == PROFILE_VERSIONS


def test_the_page_names_every_address_and_version() -> None:
    """docs/profiles.md says which guide was read, and what is written."""
    page = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
    for guide in GUIDES.values():
        for said in (guide.version, guide.study, guide.rule):
            assert said in page
        for url in (guide.anatomical_region, guide.number_of_frames, guide.instance_description, guide.key_object_title):
            assert url.rpartition("/")[2] in page


@pytest.mark.parametrize("snapshot", [golden_study(), full_study(), study()], ids=["golden", "full", "plain"])
def test_the_base_output_satisfies_ips(snapshot: StudySnapshot) -> None:
    """MAPPING H, IPS: subject.reference 1.., status never entered-in-error; identifier, series and their UIDs populated."""
    resource = mapped(snapshot, dialect="r4")
    assert resource["subject"].keys() == {"reference"}
    assert resource["status"] in ("registered", "available", "cancelled", "unknown")
    assert resource["identifier"][0]["system"] == "urn:dicom:uid"
    assert resource["series"]
    for one in resource["series"]:
        assert one["uid"] and one["modality"] and one["instance"]
        assert all(each["uid"] and each["sopClass"] for each in one["instance"])
    assert ("started" in resource) == (snapshot.started is not None)
    concepts = [*resource.get("procedureCode", ()), *resource.get("reasonCode", ())]
    assert all("text" in one or one["coding"] for one in concepts)
    assert problems(resource) == ()


def test_a_series_of_one_image_stays_what_it_is_without_a_profile() -> None:
    """MAPPING H: an opt-in; nothing of a profile without one."""
    plain = with_series(series(equipment=Equipment(manufacturer="Maker"), instances=(instance(frames=3),)))
    (one,) = mapped(plain)["series"]
    assert "performer" not in one and "endpoint" not in one
    assert one["instance"][0].keys() == {"uid", "sopClass", "number"}
