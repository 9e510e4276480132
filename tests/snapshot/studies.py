"""Studies as an archive would answer them, made from the tags that a test cares about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import RawInstance, RawSeries, RawStudy, StudyHeader, Tags
from syncd.snapshot.instances.sop_classes import STORAGE
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.tags import Tagset, overlay

ARCHIVE = ArchiveName("orthanc")
STUDY = "1.2.3"
CT = STORAGE + "2"
MG = STORAGE + "1.2"
PR = STORAGE + "11.1"
SR = STORAGE + "88.67"
KO = STORAGE + "88.59"
PDF = STORAGE + "104.1"


def coded(value: str, *, scheme: str = "DCM", meaning: str = "") -> dict[str, Any]:
    """One item of a code sequence."""
    return {"0008,0100": value, "0008,0102": scheme, "0008,0104": meaning}


def naming(*references: tuple[str, str, str]) -> list[dict[str, Any]]:
    """A sequence of references by study and series, as (0040,A375) and (0040,A525) have it: (study, series, instance)."""
    return [
        {"0020,000d": study, "0008,1115": [{"0020,000e": series, "0008,1199": [{"0008,1150": CT, "0008,1155": instance}]}]}
        for study, series, instance in references
    ]


def image(uid: str, *, number: str = "1", sop_class: str = CT, series: str = "s1", **tags: Any) -> RawInstance:
    """An instance of the series whose Orthanc id is `series`; its own Orthanc id is `i-` and its UID."""
    return RawInstance(
        orthanc_id=OrthancId(f"i-{uid}"),
        series_id=OrthancId(series),
        sop_class_uid=sop_class,
        tags={"0008,0018": uid, "0020,0013": number} | tagged(tags),
    )


def series(
    uid: str = "1.2.3.1",
    *,
    key: str = "s1",
    main: Tags | None = None,
    representative: Tags | None = None,
    images: Iterable[Tags] = (),
    shared: Tags | None = None,
    modality: str = "CT",
) -> RawSeries:
    """A series; `main` are the archive's main tags beyond uid and modality, `images` what all of its images say; with
    neither `images` nor `shared`, `study` has them all say what the representative says (RULES B9)."""
    return RawSeries(
        orthanc_id=OrthancId(key),
        tags={"0020,000e": uid, "0008,0060": modality} | dict(main or {}),
        representative=representative or {},
        images=tuple(images),
        shared=shared,
    )


def study(
    *of: RawSeries,
    instances: Iterable[RawInstance] = (),
    main: Tags | None = None,
    documents: dict[str, Tags] | None = None,
    uid: str = STUDY,
    archive: ArchiveName = ARCHIVE,
    is_stable: bool = True,
) -> RawStudy:
    """A whole copy of a study."""
    held = list(instances)
    of = tuple(_agreeing(each, number=sum(one.series_id == each.orthanc_id for one in held)) for each in of)
    header = StudyHeader(
        archive=archive,
        orthanc_id=OrthancId("study"),
        study_uid=uid,
        is_stable=is_stable,
        last_update="20260301T101500",
        series_ids=tuple(each.orthanc_id for each in of),
        main_tags=main or {},
    )
    return RawStudy(header=header, series=of, instances=tuple(held), documents=documents or {})


def _agreeing(each: RawSeries, *, number: int) -> RawSeries:
    if each.images or each.shared is not None or number < 2:
        return each
    return replace(each, images=(overlay(each.representative, lower=each.tags),) * number)


def tagset(tags: Tags) -> Tagset:
    """Tags to be read, with notes of their own."""
    return Tagset(tags, Notes())


def tagged(tags: dict[str, Any]) -> dict[str, Any]:
    """`t0028_0008="3"` → `{"0028,0008": "3"}`."""
    return {name.removeprefix("t").replace("_", ","): value for name, value in tags.items()}


class Heard:
    """Remembers what a value room noted."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, rule: str, done: str) -> None:
        self.said.append((rule, done))

    @property
    def rules(self) -> list[str]:
        return [rule for rule, _ in self.said]
