"""Archives of a few files, drawn so that images, series, studies and people disagree as they do in hospitals.

A study says its things; a series and an image mostly repeat them, and sometimes say something else or nothing. Everything
is drawn as files, so that whoever reads them reads what a decoder, a limit or a main tag makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.dicom import make_instance, uid
from tests.drawn.pens import FALSE_PENS, NAMES, PENS, TEXTS, UTF_8, Pen

Said = dict[str, Any]
"""Keyword → words; None: said nothing."""

HAND, FOOT = (
    [{"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}]
    for value, meaning in (("85562004", "Hand"), ("56459004", "Foot"))
)
ANNA, BERT = ({"PatientSex": sex, "PatientBirthDate": born} for sex, born in (("F", "19700101"), ("M", "19331111")))
PEOPLE = (ANNA, ANNA, ANNA, BERT, {**ANNA, "PatientBirthDate": "19700110"}, {"PatientSex": None, "PatientBirthDate": None})

OF_STUDY: dict[str, tuple[Any, ...]] = {
    "PatientName": NAMES,
    "StudyDescription": TEXTS,
    "ReferringPhysicianName": NAMES,
    "AccessionNumber": ("A1", "A1\\A2", None),
    "StudyDate": ("20200102", "20210102"),
    "StudyTime": ("101500", None),
}
OF_SERIES: dict[str, tuple[Any, ...]] = {
    "Modality": ("DX", "MG", "CR", "dx"),
    "SeriesDescription": (*TEXTS, None),
    "ProtocolName": (*TEXTS, None),
    "BodyPartExamined": ("HAND", "FOOT", None),
    "Laterality": ("L", "R", None),
    "OperatorsName": (*NAMES, None),
    "PerformingPhysicianName": (*NAMES, None),
    "SeriesNumber": ("1", "2", None),
    "SeriesDate": ("20200102", "20200103", None),
}
OF_IMAGE: dict[str, tuple[Any, ...]] = {
    "ImageLaterality": ("L", "R", "B", "U", None),
    "AnatomicRegionSequence": (HAND, FOOT, None),
    "RequestAttributesSequence": (None, [{"AccessionNumber": "A1"}], [{"AccessionNumber": "A1"}, {"AccessionNumber": "A3"}]),
    "ProcedureCodeSequence": (None, HAND, FOOT),
}
ALL = {**OF_STUDY, **OF_SERIES, **OF_IMAGE}


_TEXTS = ("PN", "LO", "SH", "ST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One file, and what it says in words: all that its pen can write."""

    said: Said
    pen: Pen

    @property
    def file(self) -> bytes:
        modality = str(self.said.get("Modality") or "").upper()
        written = {keyword: self._written(keyword, words) for keyword, words in self.said.items()}
        written["SpecificCharacterSet"] = self.pen.label
        return make_instance(modality=modality, sop_uid=self.said["SOPInstanceUID"], **written)

    def _written(self, keyword: str, words: Any) -> Any:
        if not isinstance(words, str) or _vr(keyword) not in _TEXTS:
            return words
        return self.pen.encode(words) if self.pen.can_write(words) else None


def _vr(keyword: str) -> str:
    return dictionary_VR(tag_for_keyword(keyword) or 0)


def _one_of_each(values: Mapping[str, tuple[Any, ...]]) -> st.SearchStrategy[Said]:
    return st.fixed_dictionaries({keyword: st.sampled_from(words) for keyword, words in values.items()})


def _some_of(values: Mapping[str, tuple[Any, ...]]) -> st.SearchStrategy[Said]:
    """Mostly nothing, else one or two of them said otherwise."""
    one = st.sampled_from(sorted(values)).flatmap(
        lambda keyword: st.tuples(st.just(keyword), st.sampled_from(values[keyword]))
    )
    return st.just({}) | st.just({}) | st.lists(one, max_size=2).map(dict)


_PEN = st.just(UTF_8) | st.sampled_from(PENS) | st.sampled_from(FALSE_PENS)


@st.composite
def archives(draw: st.DrawFn) -> list[Image]:
    """Up to three studies of one or two ids, of up to two series with up to three images."""
    images = []
    for study in range(draw(st.integers(1, 3))):
        patient = {"PatientID": draw(st.sampled_from(["P1", "P1", "P2"])), **draw(st.sampled_from(PEOPLE))}
        of_study = {**patient, **draw(_one_of_each(OF_STUDY)), "StudyInstanceUID": uid("drawn", study)}
        pen = draw(_PEN)
        for series in range(draw(st.integers(1, 2))):
            of_series = of_study | draw(_one_of_each({**OF_SERIES, **OF_IMAGE})) | draw(_some_of(OF_STUDY))
            of_series |= draw(st.just({}) | st.just({}) | st.sampled_from(PEOPLE))
            of_series["SeriesInstanceUID"] = uid("drawn", study, series)
            for number in range(draw(st.integers(1, 3))):
                said = of_series | draw(_some_of(ALL))
                said |= {"SOPInstanceUID": uid("drawn", study, series, number), "InstanceNumber": str(number)}
                images.append(Image(said=said, pen=draw(st.just(pen) | st.just(pen) | _PEN)))
    return images
