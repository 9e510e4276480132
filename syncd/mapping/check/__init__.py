"""syncd's own check of what it is about to send: FHIR's tables of elements, and their invariants."""
