"""What should FHIR say? A `StudySnapshot` becomes resources, by docs/mapping.md; pure, one dialect per FHIR version.

`imagingstudy` decides what is to be said (`said`), a dialect (`dialects`) writes it down: `dialect_r4` is the frame, the
others hold their differences. `patient`, `endpoints` and `sentinel` make the companions, `check` looks at what is to be
sent, `notes` tells what could not be said.
"""
