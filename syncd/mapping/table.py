"""The mapping as data: a row for every element that syncd writes, for the page that integration engineers read.

The rows do not drive the mapping: code does. The difficulty is to keep them true, so tests compare them with what is really
written in each version, both ways: no element without its row, no row without its element, no type but the version's own.
"""

from __future__ import annotations

from syncd.mapping.table_companions import ENDPOINT, PATIENT
from syncd.mapping.table_optional import OPTIONAL
from syncd.mapping.table_provenance import PROVENANCE, REPLACED_PATIENT
from syncd.mapping.table_row import Row
from syncd.mapping.table_series import SERIES
from syncd.mapping.table_study import STUDY

ROWS: tuple[Row, ...] = (*STUDY, *SERIES, *PATIENT, *REPLACED_PATIENT, *ENDPOINT, *OPTIONAL, *PROVENANCE)
"""By resource, in the order in which FHIR defines the elements."""
