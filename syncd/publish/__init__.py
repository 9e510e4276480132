"""Make it so: the only door to the FHIR server."""
