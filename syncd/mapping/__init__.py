"""What should FHIR say? A `StudySnapshot` becomes resources, by MAPPING.md; pure, one dialect per FHIR version.

`imagingstudy` assembles, `dialect_r4` says what is R4's own; `patient` and `endpoints` make the companions, `check` looks
at what is to be sent, `notes` tells what could not be said.
"""
