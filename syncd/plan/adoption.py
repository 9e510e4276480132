"""May another writer's ImagingStudy become ours? (RULES C2)

A RIS often announces a study before the first image is stored, and the archive then tells the rest: one resource for
both is what readers want. Only what was left open is taken over. Whoever described series, or another patient, meant
more than an announcement, and is not written over unless the site says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.model.work import Intent, StudyRecord
from syncd.plan.elements import elements
from syncd.plan.essence import reference_of

REGISTERED, ALWAYS, NEVER = "registered", "always", "never"
"""POLICY__ADOPT."""

ADOPTED = "adopted"
"""In `Intent.owned`: by this very write another writer's resource became ours."""


def may_adopt(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], *, adopt: str, base_url: str = "", fhir_version: str = "r4"
) -> bool:
    """Whether the site lets us go on with `theirs`, a resource without any syncd's tag, where we want `ours`.

    DSTU2 has no status, so nothing merely announces a study there: only `always` adopts."""
    if adopt != REGISTERED:
        return adopt == ALWAYS
    names = elements(fhir_version)
    announced = names.status_of(theirs) == "registered" and not theirs.get("series")
    return announced and _same_subject(theirs.get(names.subject), ours.get(names.subject), base_url=base_url)


def was_adopted(record: StudyRecord | None, intent: Intent | None, *, kept_id: str) -> bool:
    """Whether it is remembered that the resource under this id was another writer's at first: by the record, or, until
    there is one, by the intent."""
    if record is not None and record.resource_id == kept_id and record.adopted:
        return True
    return intent is not None and intent.resource_id == kept_id and bool(intent.owned.get(ADOPTED))


def _same_subject(theirs: object, ours: object, *, base_url: str) -> bool:
    """Equal by reference, or, where neither is literal, by an identifier with a system (RULES C8)."""
    if not isinstance(theirs, Mapping) or not isinstance(ours, Mapping):
        return False
    if theirs.get("reference") or ours.get("reference"):
        one, other = (reference_of(str(subject.get("reference", "")), base_url=base_url) for subject in (theirs, ours))
        return one == other
    pairs = [(identifier.get("system"), identifier.get("value")) for identifier in map(_identifier, (theirs, ours))]
    return pairs[0] == pairs[1] and all(pairs[0])


def _identifier(subject: Mapping[str, Any]) -> Mapping[str, Any]:
    found = subject.get("identifier")
    return found if isinstance(found, Mapping) else {}
