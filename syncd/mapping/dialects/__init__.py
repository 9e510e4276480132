"""One FHIR version each: where a statement about a study stands, and what has no place."""
