"""The attributes whose text is read, and where in an instance they are looked for (RULES B11).

An archive answers hundreds of attributes; only these are worth a further call when their text is in doubt. A test holds
the list to what the room `snapshot` names.
"""

from __future__ import annotations

TEXTS = frozenset({
    "0008,0050", "0008,0070", "0008,0080", "0008,0090", "0008,0100", "0008,0102", "0008,0104", "0008,0119", "0008,0201",
    "0008,1010", "0008,1030", "0008,103e", "0008,1040", "0008,1050", "0008,1060", "0008,1070", "0008,1090",
    "0010,0010", "0010,0020", "0010,0021", "0010,1000", "0010,1001", "0018,1000", "0018,1020", "0018,1030",
    "0020,0010", "0032,1060", "0038,0010", "0040,0031", "0040,0032", "0040,0243", "0040,0254", "0040,1002",
    "0040,2016", "0040,2017", "0042,0010",
})  # fmt: skip
"""Those in which (0008,0005) has a meaning: LO, LT, PN, SH, ST, UC, UT (PS3.5 6.1.2.2)."""

CODED_STRINGS = frozenset({
    "0008,0008", "0008,0060", "0008,0120", "0018,0015", "0040,0033", "0040,0035", "0070,0080",
})  # fmt: skip
"""Those of the default repertoire (CS, UR), which may be long or dirty all the same."""

SEQUENCES = frozenset({
    "0008,0051", "0008,0082", "0008,0096", "0008,0110", "0008,1032", "0008,1041", "0008,1052", "0008,1062", "0008,1072",
    "0008,2218", "0010,0024", "0010,1002", "0020,9071", "0038,0014", "0040,0026", "0040,0027", "0040,0275",
    "0040,100a", "0040,1101", "0040,a043", "0040,a07c", "0040,a370", "5200,9229", "5200,9230",
})  # fmt: skip
"""Those in whose items such attributes are read."""

WHOLE = TEXTS | CODED_STRINGS
"""Those that an archive is asked for however long they are."""
