"""What the numbers of rules and clauses are called: the words beside a code, wherever somebody reads one.

A note, a parked study's detail and a table cite by number, because a number is short and stays. Whoever reads it once a
year needs the words, and the page where there is more. Tests hold these titles equal to the headings of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from syncd.model.words import NOTE_RULES

RULES: Mapping[str, str] = {
    "A1": "First start",
    "A2": "Intake",
    "A3": "Position and overlap",
    "A4": "Which index is this",
    "A5": "Stable",
    "A6": "Registered",
    "A7": "Snapshot",
    "A8": "Sweep",
    "A9": "Order of work",
    "B1": "Our own JSON",
    "B2": "Constant tags",
    "B3": "Essence and fingerprint",
    "B4": "Patient",
    "B5": "Endpoints",
    "B6": "Laterality",
    "B7": "Rejection",
    "B8": "Outbox",
    "B9": "Agreement",
    "B10": "One Patient, one person",
    "B11": "Absent, unreadable, cut",
    "B12": "Asked again",
    "C1": "Identity",
    "C2": "First write",
    "C3": "Ownership",
    "C4": "Conflict",
    "C5": "Lost replies",
    "C6": "Answers",
    "C7": "Bundles",
    "C8": "Copies",
    "C9": "Searches lie",
    "D1": "Absence",
    "D2": "Only what is ours",
    "D3": "The brake",
    "E1": "Generations",
    "E2": "Parked",
    "E3": "The sentinel",
    "E4": "One owner",
    "E5": "Time",
    "E6": "One writer",
    "E7": "A lost ledger",
    "E8": "A million studies",
    "S1": "Nothing of a patient",
    "S2": "Bounded replies",
    "S3": "Who may ask",
}
"""The rules of docs/rules.md by number, in the page's order."""

CLAUSES: Mapping[str, str] = {
    "A.1": "Study level",
    "A.1 R5": "No interpreter",
    "A.1 R6": "Procedures only by reference",
    "A.2": "Series level",
    "A.2 R6": "No side without a body site",
    "A.2 unencodable": "Ids that FHIR cannot carry",
    "A.3": "Instance level",
    "A.3 title": "Titles of images",
    "A.4 ist-7": "Modalities are those of the series",
    "A.4 ist-8": "No series starts before its study",
    "B": "Identifiers",
    "B (0010,1000)": "Retired Other Patient IDs",
    "C.1": "Dates and times",
    "C.1-1": "No usable date",
    "C.1-2": "No usable time",
    "C.1-3": "Hours only",
    "C.1-4": "Second 60",
    "C.1-7": "The offset of the site",
    "C.1-8": "An offset that cannot be",
    "C.1-9": "Not in the calendar",
    "C.1-10": "Birth dates",
    "C.1-13": "Ranges and wildcards",
    "C.2": "Names",
    "C.3": "Text",
    "C.4": "Numbers",
    "C.6": "Body part and side",
    "C.7": "Modality",
    "D.2": "What a key object does",
    "D.2-5": "Half a note",
    "F.6": "Size",
    "H eu": "HL7 Europe Imaging",
    "H mado": "IHE Manifest-based Access to DICOM Objects",
    "I-11": "No PatientID",
    "I-27": "No SOP class",
    "I-28": "Leading zeros",
    "I-62": "Contradictions within the study",
    "J.2": "Practitioner and Device",
    "J.3": "Orders",
    "J.4": "Procedure",
    "J.7": "BodyStructure",
    "M": "DSTU2",
}
"""The clauses of docs/mapping.md that notes name, as they name them, in the page's order."""

_CODES = "|".join(sorted(map(re.escape, NOTE_RULES), key=len, reverse=True))
_NAMED = re.compile(rf"((?:^|[ ])(?:[0-9a-f]{{4}},[0-9a-f]{{4}}|-) )({_CODES})(?=,| and | as |$)")
"""Tag and rule, as a parked study's detail names them."""


def heading_of(code: str) -> str:
    """What a note's rule is called and where it is told: `I-11 No PatientID (docs/mapping.md)`."""
    if not _title_of(code):  # of another version, as the ledger may hold it
        return code
    page = "docs/mapping.md" if code in CLAUSES else "docs/rules.md"
    return f"{code.removeprefix('RULES ')} {_title_of(code)} ({page})"


def with_titles(detail: str) -> str:
    """A parked study's detail, and behind each rule that it names what the rule is called."""
    return _NAMED.sub(lambda named: f"{named[0]} ({_title_of(named[2])})", detail)


def _title_of(code: str) -> str:
    return CLAUSES.get(code) or RULES.get(code.removeprefix("RULES "), "")
