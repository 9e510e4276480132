"""The identifiers of our own Patient: a union of what all of the patient's studies name (RULES B9, J.1).

The greatest study speaks for the name and the rest, but it may not know the number that an older one has in (0010,1002).
So what our Patient has on the server stays when it is written anew, and an older study adds what it alone names. The
difficulty is that nothing of a person is kept in the ledger: what to keep is read from the server, only where something is
to be written, or a study names further identifiers. The price: an identifier that should never have been there stays until
somebody takes it off the Patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from syncd.loop.context import Rooms
from syncd.mapping.resources.patient import held, with_identifiers
from syncd.model.work import Companion
from syncd.plan.decide import Found
from syncd.plan.essence import digest
from syncd.plan.ownership import installation_of
from syncd.publish.own import keep


def before_it(wanted: Mapping[str, Any], *, rooms: Rooms, known: Companion | None) -> Mapping[str, Any] | None:
    """Our Patient as it is before `wanted`, what its greatest study says, is written there. Asks only where something else
    was written before; `known` without a digest was another person's, and gives nothing."""
    if known is None or not known.digest or known.digest == digest(wanted):
        return None
    return _current(wanted, rooms=rooms)


def added(wanted: Mapping[str, Any], *, rooms: Rooms, known: Companion) -> Companion:
    """What is there once our Patient has those identifiers, too, that a study names which does not speak for it."""
    if len(wanted.get("identifier", ())) < 2 or not known.digest:
        return known
    current = _current(wanted, rooms=rooms)
    if current is None:
        return known

    def joined(found: Mapping[str, Any]) -> dict[str, Any]:
        return with_identifiers(held(found, policy=rooms.policy, fhir_version=rooms.fhir_version), of=wanted)

    merged = joined(current)
    if len(merged.get("identifier", ())) == len(current.get("identifier", ())):
        return known
    kept = keep(
        rooms.server,
        merged,
        known=known,
        installation_id=rooms.installation_id,
        source_key=known.source_key,
        completed=joined,
    )
    return replace(kept, replaced_by=known.replaced_by)


def _current(wanted: Mapping[str, Any], *, rooms: Rooms) -> Mapping[str, Any] | None:
    """Our Patient as the server holds it; None where it is gone, or another writer's."""
    current = rooms.server.read("Patient", str(wanted["id"]))
    if not isinstance(current, Found) or installation_of(current.resource) != rooms.installation_id:
        return None
    return current.resource
