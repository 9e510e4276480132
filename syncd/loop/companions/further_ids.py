"""The identifiers of our own Patient: a union of what all of the patient's studies name (RULES B9, J.1).

The greatest study speaks for the name and the rest, but it may not know the number that an older one has in
(0010,1002). So what our Patient has on the server stays when it is written anew, and an older study adds what it alone
names. Nothing of a person is kept in the ledger: what to keep is read from the server, only where something is to be
written, or a study names further identifiers. The price: an identifier that should never have been there stays until
somebody takes it off the Patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from syncd.loop.context import Context
from syncd.mapping.resources.patient import with_identifiers, without_server_parts
from syncd.model.work import Companion
from syncd.plan.decide import Found
from syncd.plan.essence import digest
from syncd.plan.ownership import installation_of
from syncd.publish.own import keep


def before_it(wanted: Mapping[str, Any], *, context: Context, known: Companion | None) -> Mapping[str, Any] | None:
    """Our Patient as it is before `wanted`, what its greatest study says, is written there. Asks only where something else
    was written before; `known` without a digest was another person's, and gives nothing."""
    if known is None or not known.digest or known.digest == digest(wanted):
        return None
    return _current(wanted, context=context)


def add_identifiers(wanted: Mapping[str, Any], *, context: Context, known: Companion) -> Companion:
    """What is there once our Patient has those identifiers, too, that a study names which does not speak for it."""
    if len(wanted.get("identifier", ())) < 2 or not known.digest:
        return known
    current = _current(wanted, context=context)
    if current is None:
        return known

    def join(found: Mapping[str, Any]) -> dict[str, Any]:
        return with_identifiers(
            without_server_parts(found, policy=context.policy, fhir_version=context.fhir_version), of=wanted
        )

    merged = join(current)
    if len(merged.get("identifier", ())) == len(current.get("identifier", ())):
        return known
    kept = keep(
        context.server,
        merged,
        known=known,
        installation_id=context.installation_id,
        source_key=known.source_key,
        completed=join,
    )
    return replace(kept, replaced_by=known.replaced_by)


def _current(wanted: Mapping[str, Any], *, context: Context) -> Mapping[str, Any] | None:
    """Our Patient as the server holds it; None where it is gone, or another writer's."""
    current = context.server.read("Patient", str(wanted["id"]))
    if not isinstance(current, Found) or installation_of(current.resource) != context.installation_id:
        return None
    return current.resource
