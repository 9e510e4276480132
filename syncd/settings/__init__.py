"""Settings: where a value may come from, what it means, and everything that is wrong with it, said at once.

`schema` holds every setting with its unit, its default and why; `sources` reads the places a value can come from;
`loading` puts them together and remembers which place each value came from. An operator should never learn of the
second mistake only after repairing the first: every reader and every check collects its problems, and one error names
them all. Nothing here opens a connection.
"""

from syncd.settings.loading import BadSettings, load
from syncd.settings.schema import ArchiveSettings, AuthSettings, FhirSettings, Settings

__all__ = ["ArchiveSettings", "AuthSettings", "BadSettings", "FhirSettings", "Settings", "load"]
