"""What is the study now? An archive's raw answers become a `StudySnapshot`; no client, clock or setting enters here.

`build` reads one copy, `union` makes one study of several, `instances.rejection` tells which documents take images back.
Below them each kind of DICOM value has its own module in `values` (dates, names, codes, …), a table or a few rules each. No
value may cost a study: what cannot be used is left out and noted, by tag and rule and never by value.
"""
