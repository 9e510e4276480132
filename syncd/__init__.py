"""syncd keeps a FHIR server's ImagingStudy resources equal to what an Orthanc archive holds.

The sentence: the change feed says which studies may have changed (`feed`); a snapshot says what a study is now
(`snapshot`); the mapping says what FHIR should say (`mapping`); the plan says what must change (`plan`); publishing
makes it so (`publish`); the ledger remembers (`ledger`). `loop` speaks it; `archive` is the only door to Orthanc.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("syncd")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0"
