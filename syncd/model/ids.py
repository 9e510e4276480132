"""Ids that must not be swapped, and the two places where a UID becomes something else."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

StudyInstanceUID = NewType("StudyInstanceUID", str)
OrthancId = NewType("OrthancId", str)
ArchiveName = NewType("ArchiveName", str)

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_ORTHANC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")


def is_uid(text: str) -> bool:
    """Whether `text` is a UID as RULES C1 means it: dotted digits, at most 64 characters; leading zeros pass."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_orthanc_id(text: str) -> bool:
    """Whether `text` is an Orthanc identifier: five groups of eight hexadecimal digits (Orthanc Book)."""
    return _ORTHANC_ID.fullmatch(text) is not None


def hashed_id(prefix: str, *, key: str, digits: int) -> str:
    """A FHIR id derived from `key`: `prefix` and the first `digits` hexadecimal digits of its SHA-256."""
    return prefix + hashlib.sha256(key.encode()).hexdigest()[:digits]
