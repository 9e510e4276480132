"""syncd keeps a FHIR server's ImagingStudy resources equal to what an Orthanc archive holds.

The sentence: the change feed says which studies may have changed (`feed`); a snapshot says what a study is now
(`snapshot`); the mapping says what FHIR should say (`mapping`); the plan says what must change (`plan`); publishing
makes it so (`publish`); the ledger remembers (`ledger`). `loop` speaks it; `archive` is the only door to Orthanc.
"""

__version__ = "0.1.0"
