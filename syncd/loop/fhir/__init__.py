"""What follows the FHIR server: its inventory, and what turned up or changed there meanwhile."""
