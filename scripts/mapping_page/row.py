"""One row of the mapping's table: an element, where its value comes from, by which rule, and how each FHIR version says it.

A version's own words are one text, `series.bodySite CodeableReference*`: the path below the resource and the type, `*`
for a list; empty where the version has no such element, or syncd leaves it out. One element may have several sources:
the part behind a colon tells them apart, `identifier:accession`, as FHIR's profiles do.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`element` starts with the resource. `tags` are DICOM's, none for what syncd says of itself. `clause` is that of
    docs/mapping.md (`C.1`), of docs/rules.md (`RULES B4`), or of the standard that it names."""

    element: str
    tags: tuple[str, ...]
    rule: str
    clause: str
    dstu2: str
    r4: str
    r4b: str
    r5: str
    r6: str

    @property
    def resource(self) -> str:
        return self.element.partition(".")[0]

    def path(self, version: str) -> str:
        """The element as `version` names it, with the part behind the colon; empty where there is none."""
        return self._words(version).partition(" ")[0]

    def type(self, version: str) -> str:
        """Its type there, `*` for a list; empty where there is none."""
        return self._words(version).partition(" ")[2]

    def _words(self, version: str) -> str:
        return {"dstu2": self.dstu2, "r4": self.r4, "r4b": self.r4b, "r5": self.r5, "r6": self.r6}[version]


def row(
    element: str,
    *,
    said: str,
    rule: str,
    clause: str,
    tags: str = "",
    dstu2: str | None = None,
    r5: str | None = None,
    r6: str | None = None,
) -> Row:
    """`said` is R4's; R4B says the same, so does every other version unless it is given: R6 follows R5, R5 and DSTU2 R4."""
    later = said if r5 is None else r5
    return Row(
        element=element,
        tags=tuple(tags.split()),
        rule=rule,
        clause=clause,
        dstu2=said if dstu2 is None else dstu2,
        r4=said,
        r4b=said,
        r5=later,
        r6=later if r6 is None else r6,
    )
