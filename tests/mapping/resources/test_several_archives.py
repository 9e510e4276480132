"""What a study of several archives says: each archive's own settings, and where its images are (RULES C8, MAPPING E)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.fingerprint import MAPPING_VERSION, fingerprint
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.values.identifiers import patient_identifiers
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import ArchiveName
from syncd.model.snapshot import IssuedId, Moment, PatientFacts
from tests.mapping.studies import POLICY, mapped, series, study

EAST, WEST = ArchiveName("east"), ArchiveName("west")
BOTH = MappingPolicy(
    archive=ArchivePolicy(
        name=EAST, dicomweb_url="https://east.test/dicom-web", timezone="Europe/Berlin", patient_id_system="http://east.test"
    ),
    further=(
        ArchivePolicy(
            name=WEST,
            dicomweb_url="https://west.test/dicom-web",
            wado_uri_url="https://west.test/wado",
            timezone="America/New_York",
            patient_id_system="http://west.test",
            accession_system="http://west.test/acsn",
        ),
    ),
)
WEST_ENDPOINTS = [{"reference": "Endpoint/west-wado-rs"}, {"reference": "Endpoint/west-wado-uri"}]


def test_every_archive_has_its_endpoints() -> None:
    """RULES B5."""
    assert [one["id"] for one in endpoints(BOTH)] == ["east-wado-rs", "west-wado-rs", "west-wado-uri"]


@pytest.mark.parametrize("version", ["r4", "r4b", "r5", "r6"])
def test_a_series_that_lives_elsewhere_names_that_archives_endpoints(version: str) -> None:
    """MAPPING E: `series.endpoint` overrides the study's; a series at home has none."""
    made = mapped(study(archive=EAST, series=(series(), series(uid="2.25.12", elsewhere=WEST))), BOTH, dialect=version)
    assert made["endpoint"] == [{"reference": "Endpoint/east-wado-rs"}]
    assert [one.get("endpoint") for one in made["series"]] == [None, WEST_ENDPOINTS]
    assert problems(made, fhir_version=version) == ()


def test_the_home_of_a_study_may_be_another_archive_than_the_one_of_its_values() -> None:
    """MAPPING A.1, E: values of the copy with most instances, Endpoints of the archive with most series."""
    made = mapped(study(archive=EAST, home=WEST, accessions=(IssuedId(value="A"),)), BOTH)
    assert made["endpoint"] == WEST_ENDPOINTS
    (accession,) = made["identifier"][1:]
    assert "system" not in accession, "the accession is east's"


def test_dstu2_says_it_by_addresses() -> None:
    """MAPPING M: there is no Endpoint."""
    made = mapped(study(archive=EAST, series=(series(), series(uid="2.25.12", elsewhere=WEST))), BOTH, dialect="dstu2")
    assert [one["url"].partition("/dicom-web")[0] for one in made["series"]] == ["https://east.test", "https://west.test"]
    assert made["url"].startswith("https://east.test/")


def test_each_archive_has_its_own_systems_and_time_zone() -> None:
    """MAPPING B, C.1-7."""
    one = study(archive=WEST, started=Moment(date="2024-01-02", time="03:04:05"), accessions=(IssuedId(value="A"),))
    made = mapped(one, BOTH)
    assert made["started"].endswith("-05:00")
    assert {"system": "http://west.test/acsn", "value": "A"}.items() <= made["identifier"][1].items()
    assert patient_key(one, policy=BOTH).system == "http://west.test"
    assert patient_key(study(archive=EAST), policy=BOTH).system == "http://east.test"


def test_a_number_that_another_archive_tells_of_is_under_that_archives_system() -> None:
    """RULES B9, C8, MAPPING B: never under the system of the archive whose other values are shown."""
    theirs = IssuedId(value="A2", elsewhere=WEST)
    patient = PatientFacts(
        ids=(IssuedId(value="P"), IssuedId(value="P", elsewhere=WEST), IssuedId(value="P2", elsewhere=WEST))
    )
    one = study(archive=EAST, accessions=(IssuedId(value="A1"), theirs), patient=patient)
    orders = [order["identifier"] for order in mapped(one, BOTH)["basedOn"]]
    assert [(order.get("system"), order["value"]) for order in orders] == [(None, "A1"), ("http://west.test/acsn", "A2")]
    ids = [(each["system"], each["value"]) for each in patient_identifiers(one, policy=BOTH)]
    assert ids == [("http://east.test", "P"), ("http://west.test", "P"), ("http://west.test", "P2")]


def test_a_series_keeps_the_time_zone_of_its_archive() -> None:
    """MAPPING C.1-7: the clock stands where the series was made."""
    begun = Moment(date="2024-01-02", time="03:04:05")
    here, there = series(started=begun), series(uid="2.25.12", started=begun, elsewhere=WEST)
    made = mapped(study(archive=EAST, series=(here, there)), BOTH)
    assert [one["started"][-6:] for one in made["series"]] == ["+01:00", "-05:00"]


def test_the_fingerprint_of_one_archive_is_what_it_was() -> None:
    """RULES B3: an upgrade renders nothing anew at a site with one archive."""
    said = {"mapping": MAPPING_VERSION, "fhir": "r4", "policy": asdict(POLICY)}
    del said["policy"]["further"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert fingerprint(POLICY, fhir_version="r4") == hashlib.sha256(text.encode()).hexdigest()


def test_every_archive_and_their_order_count() -> None:
    """RULES B3: what shapes the output of any archive is in the fingerprint."""
    (west,) = BOTH.further
    variants = [
        BOTH,
        replace(BOTH, further=()),
        replace(BOTH, further=(replace(west, accession_system=""),)),
        replace(BOTH, archive=west, further=(BOTH.archive,)),
    ]
    assert len({fingerprint(one, fhir_version="r4") for one in variants}) == len(variants)


def test_every_version_is_known_here() -> None:
    """A version that is added later is looked at for this, too."""
    assert VERSIONS == ("dstu2", "r4", "r4b", "r5", "r6")
