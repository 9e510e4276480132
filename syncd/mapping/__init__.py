"""What should FHIR say? A `StudySnapshot` becomes resources, by docs/mapping.md; pure, one dialect per FHIR version.

`resources.imagingstudy` decides what is to be said (`Said`), one of the `dialects` writes it down: `r4` is the frame, the
others hold their differences. The other `resources` are the companions, `profiles` add what a guide demands, `check` looks
at what is to be sent, `notes` tells what could not be said.
"""
