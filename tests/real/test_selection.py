"""Selection on real servers: rules, labels, history; excluded studies leave nothing in FHIR."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

LABELS = "1.12"


@pytest.fixture(scope="module")
def site(either: Archive, tmp_path_factory: pytest.TempPathFactory, hapi: FhirServer) -> Iterator[Installation]:
    """Both servers, and no daemon yet."""
    directory = tmp_path_factory.mktemp("selection")
    with Installation(directory, archive=either, fhir=hapi) as installation:
        yield installation


@pytest.mark.quick("1.12.7")
def test_what_is_excluded_or_old_is_not_in_fhir(site: Installation) -> None:
    """docs/settings.md, `INCLUDE`, `EXCLUDE`, `HISTORY`: from the first start on, for what is there and for what arrives."""
    words, block, variables = site.archive.version, site.block, site.syncd.variables
    old, old_files = study(f"selected: old {words}", StudyDate="20100101")
    new, new_files = study(f"selected: new {words}", StudyDate="20240102")
    site.send(*old_files, *new_files)
    site.wait_stable(old, new)
    variables[f"{block}EXCLUDE"] = "modality=SR,PatientName=*nobody*,aet=NOBODY"
    variables[f"{block}HISTORY"] = "since:2020-01-01"
    site.syncd.start()
    report, report_files = study(f"selected: report {words}", modality="SR", StudyDate="20240102")
    late, late_files = study(f"selected: late {words}", StudyDate="20100101")
    site.send(*report_files, *late_files)
    site.wait_for(new, late)
    site.wait_settled()
    assert (site.resource(old), site.resource(report)) == (None, None)
    assert (site.puts(old), site.puts(report)) == ((), ())
    site.syncd.stop()

    variables[f"{block}HISTORY"] = "all"
    variables[f"{block}EXCLUDE"] = "PatientName=*nobody*"
    assert "4 studies of archive" in site.syncd.command("check", expect=0).out
    site.syncd.start()
    site.wait_for(old, report)
    site.syncd.stop()


def test_a_label_excludes_where_the_archive_has_labels(site: Installation) -> None:
    """docs/settings.md, key `label`: Orthanc 1.12; refused before it, for nothing would be excluded by it."""
    words, block, variables = site.archive.version, site.block, site.syncd.variables
    variables[f"{block}EXCLUDE"] = "label=private"
    if not site.archive.version.startswith(LABELS):
        assert "keeps none" in site.syncd.command("check", expect=2).out
        return
    private, files = study(f"selected: private {words}")
    site.send(*files)
    site.wait_stable(private)
    (orthanc_id,) = site.archive.study_ids(private)
    site.archive.put(f"studies/{orthanc_id}/labels/private")
    site.syncd.command("resync", expect=0)
    assert site.resource(private) is None
    site.archive.delete(f"studies/{orthanc_id}/labels/private")
    site.syncd.command("resync", expect=0)
    assert site.says(private)
