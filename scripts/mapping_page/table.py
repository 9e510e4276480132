"""The mapping as data: a row for every element that syncd writes, for the page that integration engineers read.

The rows do not drive the mapping: code does. To keep them true, tests compare them with what is really written in each
version, both ways: no element without its row, no row without its element, no type but the version's own.
"""

from __future__ import annotations

from scripts.mapping_page.companions import ENDPOINT, PATIENT
from scripts.mapping_page.optional import OPTIONAL
from scripts.mapping_page.provenance import PROVENANCE, REPLACED_PATIENT
from scripts.mapping_page.row import Row
from scripts.mapping_page.series import SERIES
from scripts.mapping_page.study import STUDY

ROWS: tuple[Row, ...] = (*STUDY, *SERIES, *PATIENT, *REPLACED_PATIENT, *ENDPOINT, *OPTIONAL, *PROVENANCE)
"""By resource, in the order in which FHIR defines the elements."""
