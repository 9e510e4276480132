"""What a FHIR version has no element for, and what a study lacks for the site's profile: noted, for it is not published.

Told from what was to be said (`said`), so that nothing is decided twice. Of each study only its own is told: that R6
has no element for an interpreter is no news of a study which names none.
"""

from __future__ import annotations

from collections.abc import Iterator

from syncd.mapping.dialects.r6 import not_before
from syncd.mapping.dialects.statement import Json, Said, SaidSeries
from syncd.mapping.policy import ArchivePolicy
from syncd.mapping.profiles.guides import GUIDES, Guide
from syncd.mapping.profiles.profiles import fits_slice, is_accession, key_object_title, wado_references
from syncd.mapping.profiles.regions import regions
from syncd.mapping.values.people import function_of, organization
from syncd.mapping.values.systems import is_oid
from syncd.mapping.values.terms import ACQUISITION, Term
from syncd.model.ids import is_uid
from syncd.model.snapshot import Note

_LATER = frozenset({"r5", "r6"})


def unsaid_notes(said: Said, *, fhir_version: str) -> Iterator[Note]:
    """What the version leaves out of this study, one note per occurrence, then what its profile misses."""
    if fhir_version in _LATER and said.interpreters:
        yield Note(tag="0008,1060", rule="A.1 R5", done="interpreter left out: no element from R5 on")
    if fhir_version == "r6":
        yield from _r6(said)
    if fhir_version == "dstu2":
        yield from _dstu2(said)
    guide = GUIDES.get((said.policy.profile, fhir_version))
    if guide is not None:
        yield from (Note(tag=tag, rule=guide.rule, done=done) for tag, done in _missing_elements(said, guide))


def _accessions(said: Said) -> list[Json]:
    return [one for one in said.orders if is_accession(one)]


def _procedures_unsaid(said: Said) -> list[Term]:
    """What was done, where the version can only refer to a Procedure: none is written, or it does not have the code."""
    return [one for one in said.procedures if not (one.code and said.procedures_done)]


def _r6(said: Said) -> Iterator[Note]:
    """MAPPING A.1 to A.4: R6 keeps a procedure's code in a Procedure, a side in a BodyStructure, and orders the starts."""
    if said.borrowed:
        yield Note(
            tag="0008,0060", rule="A.4 ist-7", done="modality of an SOP class left out: R6 names the series' own only"
        )
    for _ in _procedures_unsaid(said):
        yield Note(tag="0008,1032", rule="A.1 R6", done="procedure left out: R6 has it in a Procedure only")
    for series in said.series:
        kept = not_before(said.started, series.started)
        if kept != series.started:
            how = "cut to its date" if kept else "left out"
            yield Note(tag="0008,0021", rule="A.4 ist-8", done=f"series start {how}: it contradicts the study's")
        if series.laterality and not series.body_site:
            done = "side left out: no body site to say it with"
            yield Note(tag="0020,0060", rule="A.2 R6", done=done, safety=True)
        yield from _classes_no_oid(series)


def _classes_no_oid(series: SaidSeries) -> Iterator[Note]:
    for instance in series.facts.instances:
        if is_uid(instance.sop_class) and not is_oid(instance.sop_class):
            yield Note(tag="0008,0016", rule="I-28", done="SOP class is no OID: said as data-absent-reason")


def _dstu2(said: Said) -> Iterator[Note]:
    """MAPPING M: everything that DSTU2 has no element, or no logical reference, for."""
    for tag, there, what in (
        ("0040,2016", len(said.orders) > len(_accessions(said)), "placer and filler orders"),
        ("0038,0010", said.encounter is not None, "encounter"),
        ("0008,1032", bool(_procedures_unsaid(said)), "procedures"),
        ("0040,1002", bool(said.reasons), "reasons"),
        ("0008,1040", bool(said.facts.location_text), "location"),
        ("0008,1060", len(said.interpreters) > 1, "interpreters but the first"),
        ("0008,0090", bool(said.referrer and "identifier" in said.referrer), "identifier of the referrer"),
        ("0008,0060", any(term.code not in ACQUISITION for term in said.modalities), "modalities that acquire no image"),
    ):
        if there:
            yield _m(tag, f"{what} left out: DSTU2 cannot say it")
    for _ in said.accessions[1:]:
        yield _m("0008,0050", "further accession number in words only: DSTU2 has one")
    if not is_oid(said.facts.study_uid):
        yield _m("0020,000d", "UID is no OID: said as data-absent-reason, and as an identifier")
    for series in said.series:
        if series.performers:
            yield _m("0008,1050", "performers left out: DSTU2 cannot say it")
        if not is_oid(series.facts.uid):
            yield _m("0020,000e", "UID is no OID: said as data-absent-reason")
        for instance in series.facts.instances:
            if not is_oid(instance.uid):
                yield _m("0008,0018", "UID is no OID: said as data-absent-reason")
        yield from _classes_no_oid(series)


def _m(tag: str, done: str) -> Note:
    return Note(tag=tag, rule="M", done=done)


def _missing_elements(said: Said, guide: Guide) -> Iterator[tuple[str, str]]:
    """What the guide demands, or wants where it is known, and the study does not have (MAPPING H)."""
    yield from _orders(said, guide)
    for tag, there, what in (
        ("0008,0020", bool(said.started), "started"),
        ("0008,0060", bool(said.modalities), "modality"),
        ("0008,1030", bool(said.facts.description), "description"),
        ("", all(wado_references(one, said.policy) for one in _holders(said)), "endpoint of WADO-RS (PUBLIC_DICOMWEB_URL)"),
        ("", not said.summary, "series.instance: summary form"),
    ):
        if not there:
            yield tag, f"missing: {what}"
    if not regions((one.body_site for one in said.series), guide=guide):
        yield "0018,0015", "missing: anatomical region"
    if guide.name == "mado":
        yield from _missing_in_mado(said)
    for series in said.series:
        yield from _missing_in_series(series, guide)


def _orders(said: Said, guide: Guide) -> Iterator[tuple[str, str]]:
    accessions = _accessions(said)
    fit = [one for one in accessions if one["identifier"].get("system")]
    if not accessions:
        yield "0008,0050", "missing: accession number"
    for _ in accessions[len(fit) :]:
        yield "0008,0050", "accession left out of basedOn: no system, which the guide demands"
    beside = "without its type in" if guide.name == "eu" else "left out of"
    for _ in fit[1:]:
        yield "0008,0050", f"further accession {beside} basedOn: the guide allows one"
    if guide.name == "mado":
        for _ in said.orders[len(accessions) :]:
            yield "0040,2016", "placer or filler order left out of basedOn: the guide allows the accession only"


def _holders(said: Said) -> list[ArchivePolicy]:
    """The archives that hold the study: its home, and where else a series lies."""
    found = [said.archive]
    for series in said.series:
        if series.elsewhere is not None and series.elsewhere not in found:
            found.append(series.elsewhere)
    return found


def _missing_in_mado(said: Said) -> Iterator[tuple[str, str]]:
    if not any(term.display or term.words for term in said.procedures):
        yield "0008,1032", "missing: procedure that can be shown"
    if not all(one.retrieve_location_uid for one in _holders(said)):
        yield "", "missing: the Endpoint's retrieve location UID (RETRIEVE_LOCATION_UID)"
    for series in said.series:
        for instance in series.facts.instances:
            if instance.uid in said.titles and not key_object_title(said.titles[instance.uid]):
                yield "0040,a043", "key object title not said: none of CID 7010"


def _missing_in_series(series: SaidSeries, guide: Guide) -> Iterator[tuple[str, str]]:
    wanted = [
        ("0008,103e", bool(series.facts.description), "series.description"),
        ("0008,0021", bool(series.started), "series.started"),
        ("0018,0015", series.body_site is not None, "series.bodySite"),
    ]
    if guide.name == "eu":
        performing = [one for one in series.performers if function_of(one) == "PRF"]
        fit = [one for one in performing if fits_slice(one)]
        wanted += [
            ("0008,1050", bool(fit), "series.performer PRF"),
            ("0008,1090", series.device is not None, "series.performer DEV"),
            ("0040,a07c", organization(series.facts.custodian) is not None, "series.performer CST"),
            ("0008,0080", organization(series.facts.institution) is not None, "series.performer LOC"),
        ]
        for _ in fit[1:]:
            yield "0008,1050", "further performing physician without a function: the guide allows one"
        for _ in performing[len(fit) :]:
            yield "0008,1050", "performing physician without a function: the guide wants no mere Practitioner"
    yield from ((tag, f"missing: {what}") for tag, there, what in wanted if not there)
    for instance in series.facts.instances:
        if instance.number is None:
            yield "0020,0013", "missing: series.instance.number"
