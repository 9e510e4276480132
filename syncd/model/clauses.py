"""What the numbers of rules and clauses are called: the words beside a code, wherever somebody reads one.

A note, a parked study's detail and a table cite by number, because a number is short and stays. Whoever reads it once a
year needs the words, and the page where there is more. Tests hold these titles equal to the headings of the pages.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    "B8": "Provenance",
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
