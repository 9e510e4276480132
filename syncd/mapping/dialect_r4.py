"""What R4 (and R4B, which is identical here) says in its own way: a concept is a bare Coding.

The difficulty is a Coding without a code: R4 has no `text` to fall back on, so words go into `display`, and what is not
known at all is an empty Coding that says why (`data-absent-reason`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncd.mapping.people import practitioners
from syncd.mapping.systems import DATA_ABSENT_REASON, URI
from syncd.mapping.terms import Term
from syncd.model.ids import is_uid
from syncd.model.snapshot import InstanceFacts, StudySnapshot

ACCESSIONS_AS_IDENTIFIER = True


def modality(term: Term | None) -> dict[str, Any]:
    """`series.modality` is required: unknown is said, not left out (MAPPING C.7)."""
    return _coding(term) if term else _absent()


def body_site(term: Term) -> dict[str, Any]:
    return _coding(term)


def laterality(term: Term) -> dict[str, Any]:
    return _coding(term)


def instances(instances: Sequence[InstanceFacts]) -> list[dict[str, Any]]:
    """`series.instance`, the one list that may be long."""
    return [_instance(instance) for instance in instances]


def study_elements(snapshot: StudySnapshot) -> dict[str, Any]:
    """Elements that later versions dropped."""
    interpreters = practitioners(snapshot.interpreters)
    return {"interpreter": interpreters} if interpreters else {}


def _instance(instance: InstanceFacts) -> dict[str, Any]:
    made: dict[str, Any] = {"uid": instance.uid}
    if is_uid(instance.sop_class):
        # Leading zeros pass: an OID with them is wrong, but the class is still told (MAPPING I case 28).
        made["sopClass"] = {"system": URI, "code": f"urn:oid:{instance.sop_class}"}
    else:
        made["sopClass"] = _absent()
    if instance.number is not None:
        made["number"] = instance.number
    if instance.title:
        made["title"] = instance.title
    return made


def _coding(term: Term) -> dict[str, Any]:
    coding = {"system": term.system, "code": term.code} if term.code else {}
    return coding | ({"display": term.display} if term.display else {})


def _absent() -> dict[str, Any]:
    return {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "unknown"}]}
