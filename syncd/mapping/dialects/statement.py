"""What is to be said of a study, in no FHIR version's words: `imagingstudy` makes it, a dialect turns it into JSON.

Everything that does not depend on the version is decided when this exists: which series can be said at all, which terms
their codes are, who may be shown. Nothing is copied: a study of thirty thousand instances is described by the
snapshot's own instances, never by a second copy of them.

Data types that most versions share (Identifier, Reference) are already JSON here, in the form of R4; a dialect that knows
less of them takes away what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.values.terms import Term
from syncd.model.snapshot import Code, SeriesFacts, StudySnapshot

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidSeries:
    """One series. `facts` are what the snapshot knows of it, with the instances that FHIR can carry: what needs no
    translation is taken from there. `started` is a FHIR dateTime or empty, `body_structure` a Reference."""

    facts: SeriesFacts
    modality: Term | None
    body_site: Term | None
    body_structure: Json | None
    laterality: Term | None
    started: str
    performers: tuple[Json, ...]
    elsewhere: ArchivePolicy | None = None
    """The archive that holds the series, where that is not the study's: its Endpoints are named here (MAPPING E)."""
    device: Json | None = None
    """A Reference to what made the series, whether or not it is a performer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One study. `uid_identifier` and `study_ids` are Identifiers, `accessions` too; `orders`, `encounter`, `referrer` and
    `interpreters` References. A study that still arrives or is no more has only the first half, and `counted` is false;
    `reachable`: whether its Endpoints are named."""

    resource_id: str
    facts: StudySnapshot
    """What the archive says of the study and needs no translation; nothing but its UID where no more may be shown."""
    policy: MappingPolicy
    archive: ArchivePolicy
    """The study's home: the archive whose Endpoints are named."""
    status: str
    subject: Json
    uid_identifier: Json
    study_ids: tuple[Json, ...]
    accessions: tuple[Json, ...]
    orders: tuple[Json, ...]
    started: str
    reachable: bool = True
    counted: bool = False
    summary: bool = False
    modalities: tuple[Term, ...] = ()
    """Distinct, in the order of the series, and only those that the policy wants at study level."""
    borrowed: bool = False
    """Whether some of them are no series' own, but those of SOP Classes in it (MAPPING C.7)."""
    encounter: Json | None = None
    referrer: Json | None = None
    interpreters: tuple[Json, ...] = ()
    procedures: tuple[Term, ...] = ()
    procedures_done: tuple[Json, ...] = ()
    """References to the Procedures that are written (MAPPING J.4)."""
    reasons: tuple[Term, ...] = ()
    series: tuple[SaidSeries, ...] = ()
    titles: Mapping[str, Code] = field(default_factory=dict)
    """Coded titles of key objects, by SOPInstanceUID; a profile shows them."""

    @property
    def instances(self) -> int:
        return sum(len(one.facts.instances) for one in self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidEndpoint:
    """A service of the archive: `code` of the connection type or empty, and `words` for it; `payload` in words."""

    resource_id: str
    name: str
    code: str
    words: str
    payload: str
    mime_type: str
    address: str


def without_empty(elements: Mapping[str, Any]) -> Json:
    """Without the elements that say nothing: FHIR knows no empty values."""
    return {name: value for name, value in elements.items() if value is not None and value not in ("", [], {}, ())}
