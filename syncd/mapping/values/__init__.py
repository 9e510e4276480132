"""FHIR's data types from cleaned DICOM values: codes, identifiers, names, moments."""
