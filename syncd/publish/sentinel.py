"""The sentinel on the server: a resource with a random id by which a ledger knows its server again (RULES E3).

If it is missing, the server was wiped or is another one, whatever its address says. It also proves, once, which
create-only form the server honours (RULES C2): HAPI takes `If-Match: W/"0"` and ignores `If-None-Match: *`; in DSTU2 it
ignores both, and compares the version in the body instead; Medplum has none, though it refuses version 0.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from syncd.errors import Conflict, StudyError, SyncdError, TargetPaused
from syncd.mapping.resources.sentinel import sentinel, sentinel_type
from syncd.mapping.values.systems import SENTINEL, TRIAL
from syncd.plan.decide import CREATE_ONLY, Absent, Found
from syncd.plan.ownership import TAG_SYSTEM, installation_of
from syncd.publish.assigned import ASSIGNED
from syncd.publish.server import GET_THEN_PUT, VERSION_IN_BODY, FhirServer, token

_FORMS = ("if-match-0", "if-none-match", VERSION_IN_BODY)
AUTO, CLIENT, SERVER = "auto", "client", "server"
"""FHIR__IDS."""
METHOD_NOT_ALLOWED = 405
"""The answer of FHIR R4 3.1.0.4.1 to an id that a client may not choose."""


def new_id() -> str:
    """A fresh sentinel id."""
    return f"syncd-{uuid.uuid4().hex}"


def find_sentinels(server: FhirServer, *, installation_id: str, fhir_version: str = "r4") -> tuple[str, ...]:
    """Ids of the sentinels with our tag that the server holds, confirmed by GET."""
    kind = sentinel_type(fhir_version)
    query = {"_tag": token(TAG_SYSTEM, installation_id)} | ({"status": "off"} if kind == "Endpoint" else {})
    hits = [str(found["id"]) for found in server.search(kind, query) if _is_sentinel(found)]
    return tuple(
        sorted(one for one in hits if present(server, one, installation_id=installation_id, fhir_version=fhir_version))
    )


def present(server: FhirServer, sentinel_id: str, *, installation_id: str, fhir_version: str = "r4") -> bool:
    """Whether the server still holds this sentinel of ours. Raises `TargetPaused` where we may not even read that."""
    try:
        current = server.read(sentinel_type(fhir_version), sentinel_id)
    except StudyError as error:
        raise TargetPaused(
            f"The FHIR server at {server.base_url} lets us read nothing of ours ({error}): check SYNCD_FHIR__AUTH__*",
            status=403,
        ) from error
    return (
        isinstance(current, Found)
        and _is_sentinel(current.resource)
        and installation_of(current.resource) == installation_id
    )


def version_of(server: FhirServer, sentinel_id: str, *, fhir_version: str = "r4") -> str:
    """The version of the sentinel as the server tells it; empty where it is not there."""
    current = server.read(sentinel_type(fhir_version), sentinel_id)
    return current.version if isinstance(current, Found) else ""


def prove(server: FhirServer, sentinel_id: str, *, installation_id: str, fhir_version: str = "r4", ids: str = CLIENT) -> str:
    """Write the sentinel, and find the create-only form that refuses to write it twice. `ids` is FHIR__IDS; with `auto`,
    a server that refuses our ids gives its own (RULES C1)."""
    if ids == SERVER or (ids == AUTO and server.capabilities().refuses_ids):
        return _prove_assigned(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version)
    try:
        return _prove_chosen(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version)
    except (StudyError, TargetPaused, Conflict) as refused:
        about_ids = not isinstance(refused, TargetPaused) or refused.status == METHOD_NOT_ALLOWED
        if ids != AUTO or not about_ids:
            raise
        try:
            return _prove_assigned(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version)
        except SyncdError:
            raise refused from None  # it refuses us, whatever the ids


def _prove_assigned(server: FhirServer, sentinel_id: str, *, installation_id: str, fhir_version: str) -> str:
    """Have the server create the sentinel, unless it is there."""
    before, server.create_form = server.create_form, ASSIGNED
    wanted = sentinel(sentinel_id, installation_id=installation_id, fhir_version=fhir_version)
    try:
        if not present(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version):
            server.put(wanted, expected_version=CREATE_ONLY)
    except Conflict:
        if present(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version):
            return ASSIGNED  # written before a crash
        raise
    finally:
        server.create_form = before
    return ASSIGNED


def _prove_chosen(server: FhirServer, sentinel_id: str, *, installation_id: str, fhir_version: str) -> str:
    """With an id of ours."""
    wanted = sentinel(sentinel_id, installation_id=installation_id, fhir_version=fhir_version)
    form = next((one for one in _FORMS if _creates_only(server, one, wanted=wanted)), GET_THEN_PUT)
    if not present(server, sentinel_id, installation_id=installation_id, fhir_version=fhir_version):
        server.put(wanted, expected_version=CREATE_ONLY, create_form=GET_THEN_PUT)
    _clear_trials(server, wanted)
    return form


def _clear_trials(server: FhirServer, wanted: Mapping[str, Any]) -> None:
    """Delete what was created to try a form out, now or before a crash: the proof is kept only after this."""
    kind = str(wanted["resourceType"])
    with suppress(SyncdError):  # a server that deletes nothing keeps an Endpoint that is off
        for found in list(server.search(kind, {"identifier": token(TRIAL, str(wanted["id"]))})):
            current = server.read(kind, str(found["id"]))
            if isinstance(current, Found) and _carries(current.resource, TRIAL):
                server.delete(kind, str(found["id"]), expected_version=current.version)


def _creates_only(server: FhirServer, form: str, *, wanted: Mapping[str, Any]) -> bool:
    """Whether a PUT in this form creates what is not there, and then refuses to do it again.

    A refusal alone proves nothing: strict servers find no version 0 of anything. So where the sentinel is there already (a
    crash, a lost ledger, the form tried before), a trial that never was there is created instead."""
    kind = str(wanted["resourceType"])
    is_new = isinstance(server.read(kind, str(wanted["id"])), Absent)
    trial = {**wanted, "id": new_id(), "identifier": [{"system": TRIAL, "value": str(wanted["id"])}]}
    subject = wanted if is_new else trial
    try:
        server.put(subject, expected_version=CREATE_ONLY, create_form=form)
    except (Conflict, StudyError):
        return False  # it cannot create, or is not understood at all
    try:
        server.put(subject, expected_version=CREATE_ONLY, create_form=form)
    except Conflict:
        return True
    except StudyError:
        pass
    return False


def _is_sentinel(found: Mapping[str, Any]) -> bool:
    return _carries(found, SENTINEL)


def _carries(found: Mapping[str, Any], system: str) -> bool:
    return any(item.get("system") == system for item in found.get("identifier", ()))
