"""What a rejection note says of one study: remembered across restarts, because note and images come and go separately.

A rejection note is a Key Object Selection whose title takes instances back (MAPPING D.2, IHE RAD TF-2 4.66). It may name
studies other than the one it lies in, arrive before them, and be deleted before the images are; so what it said is kept,
one value per note and study that it names. The values of one note differ in `target_uid` and `instances` only.
"""

from __future__ import annotations

from dataclasses import dataclass

QUALITY = "113001"
"""Rejected for Quality Reasons."""
SAFETY = "113037"
"""Rejected for Patient Safety Reasons."""
WRONG_WORKLIST = "113038"
"""Incorrect Modality Worklist Entry."""
EXPIRED = "113039"
"""Data Retention Policy Expired."""

REJECTING_TITLES = frozenset({QUALITY, SAFETY, WRONG_WORKLIST, EXPIRED})
"""The codes of CID 7010, scheme DCM, that reject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The note `note_uid`, which lies in the study `source_uid`, names these instances of the study `target_uid`.

    `patient` is the hashed id of the source's patient (RULES B4): another study's note counts only under the same one
    (B7). `first_missing_at` is when the note was first not found any more, 0 while it is there; it counts until the
    grace is over (MAPPING D.2-4).
    """

    note_uid: str
    source_uid: str
    target_uid: str
    title: str
    patient: str
    instances: tuple[str, ...]
    first_missing_at: float = 0.0
