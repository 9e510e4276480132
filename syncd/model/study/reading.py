"""How a site wants DICOM values to be read, where the standard leaves a study readable in two ways (MAPPING A.3, C.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`repair_utf8`: text in the form of UTF-8 that is not of the set declared, or of none that is known, is read as UTF-8,
    else left out (C.3). `undeclared_charset`: the (0008,0005) of images that have none; empty: ASCII.
    `title_from_image_type`: images are titled by Image Type (0008,0008), where the archive gives it (A.3)."""

    repair_utf8: bool = True
    undeclared_charset: str = ""
    title_from_image_type: bool = False
