"""A StudyDate as eight digits, so that dates sort as they are written."""

from __future__ import annotations

_SEPARATORS = str.maketrans("", "", "-.")


def plain_date(text: str) -> str:
    """`YYYYMMDD` of a DICOM date, also of the old form with dots, or of a FHIR date; empty where it is no whole date."""
    plain = text.strip()[:10].translate(_SEPARATORS)
    return plain if len(plain) == 8 and plain.isascii() and plain.isdigit() else ""
