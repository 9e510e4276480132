"""Whether the FHIR server knows studies of which we remember nothing: asked for many of them at once (RULES C2)."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.errors import StudyError
from syncd.ledger.ledger import Claim
from syncd.loop.context import Context
from syncd.mapping.values.identity import resource_id
from syncd.publish.lookups import imaging_studies


def first_look(claims: Iterable[Claim], context: Context) -> dict[str, frozenset[str]]:
    """By StudyInstanceUID, the ids under which the server may hold it; nothing of studies that are remembered."""
    ids: dict[str, str] = {}
    for claim in claims:
        # A server that is read anew may have lost what we remember: then it is created, and looked up before. Of what was
        # intended and never confirmed, a kill may have left many: most of them were not sent (RULES C5).
        if claim.record is None or claim.row.read_fhir:
            try:
                ids[claim.row.study_uid] = resource_id(claim.row.study_uid, bad_uid=context.policy.bad_uid)
            except StudyError:
                continue  # reconcile parks it
    return imaging_studies(context.server, ids, fhir_version=context.fhir_version) if ids else {}
