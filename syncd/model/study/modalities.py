"""Modalities (0008,0060) beyond CID 33: what a dictionary of terms does not hold, and DICOM defines or once defined."""

from __future__ import annotations

NEWER = frozenset({"ANN", "RTINTENT", "RTRAD", "RTSEGANN", "XAPROTOCOL"})
"""PS3.3 C.7.3.1.1.1 (2026a) defines these too; CID 33 as pydicom 3.0 has it does not hold them yet."""

RETIRED = frozenset(
    {"AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS", "OPR", "ST", "VF"}
)
"""Defined terms of older editions (MAPPING C.7)."""
