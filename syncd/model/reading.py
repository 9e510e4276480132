"""How a site wants DICOM values to be read, where the standard leaves a study readable in two ways (MAPPING A.3, C.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`repair_utf8`: text that was UTF-8 but was declared nothing is read again as UTF-8 (C.3). `title_from_image_type`:
    images are titled by Image Type (0008,0008), where the archive gives it (A.3)."""

    repair_utf8: bool = False
    title_from_image_type: bool = False
