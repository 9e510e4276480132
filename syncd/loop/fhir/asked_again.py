"""Remembered answers, asked again once in each FHIR inventory (RULES B12).

A published study refers to what others keep: their Patient, their orders, whatever a hook named. Nothing announces that a
Patient was merged or an order revoked, and a record that remembers is never asked. So the references of all records are
listed, many in one request; what looks wrong is read by itself (RULES C9), and the studies that name it are marked. Their
own turn asks afresh and decides; where it finds the same again, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from syncd.errors import StudyError, TargetPaused
from syncd.loop.context import Context
from syncd.mapping.values.identity import patient_id
from syncd.mapping.values.orders import TYPE, OrderKey
from syncd.model.work import ORDERS, REFERENCES
from syncd.plan.decide import Found
from syncd.publish.lookups import carries, is_in_use, orders_in_use
from syncd.publish.server import token

AT_ONCE = 100
"""Resources asked for in one search by id."""

_NOT_ASKED = (403, 404, 405)
"""A server that does not let us list a type that we need not write: its resources are taken as they are."""

Resource = Mapping[str, Any]


def find_outdated_subjects(context: Context, subjects: Sequence[str]) -> list[str]:
    """Those of these subjects that must be asked for again: gone, inactive, replaced, or carrying the identifier of the
    studies no more. Of our own Patients: gone, or replaced by somebody else than us."""
    ids = [one.partition("/")[2] for one in subjects if one.startswith("Patient/")]
    told_by = context.ledger.references.patients(subjects)

    def is_fine(resource_id: str, patient: Resource) -> bool:
        ours = context.ledger.companions.find("Patient", resource_id)
        if ours is not None:
            return not ours.replaced_by and is_in_use({**patient, "active": True})
        found_by = {patient_id([str(one.get("system")), str(one.get("value"))]) for one in patient.get("identifier", ())}
        return is_in_use(patient) and told_by.get(f"Patient/{resource_id}", frozenset()) <= found_by

    return [f"Patient/{one}" for one in _not_fine(context, "Patient", ids, told="active,link,identifier", is_fine=is_fine)]


def find_outdated_studies(context: Context, studies: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Those of these studies (with their raw facts) that refer to an order that does not stand any more, or to something
    else that is gone or was entered in error."""
    named: dict[str, set[str]] = {}
    orders: dict[str, str] = {}
    for uid, raw in studies:
        for reference in raw.get(REFERENCES, ()):
            named.setdefault(reference, set()).add(uid)
        for key, order_id in raw.get(ORDERS, {}).items():
            if order_id:
                orders[key] = order_id
                named.setdefault(f"{TYPE}/{order_id}", set()).add(uid)
    wrong = set(_find_outdated_orders(context, orders))
    others = named.keys() - {f"{TYPE}/{order_id}" for order_id in orders.values()}
    for resource_type in sorted({one.partition("/")[0] for one in others}):
        ids = sorted(one.partition("/")[2] for one in others if one.startswith(f"{resource_type}/"))
        wrong |= {f"{resource_type}/{one}" for one in _unless_refused(_find_entered_in_error, context, resource_type, ids)}
    return sorted({uid for reference in wrong for uid in named[reference]})


def _find_entered_in_error(context: Context, resource_type: str, ids: Sequence[str]) -> list[str]:
    def is_fine(_resource_id: str, resource: Resource) -> bool:
        return resource.get("status") != "entered-in-error"

    return _not_fine(context, resource_type, ids, told="status", is_fine=is_fine)


def _find_outdated_orders(context: Context, orders: Mapping[str, str]) -> list[str]:
    """Orders (digest of the identifier → id) that are not the one that stands under their identifier."""
    keys: dict[str, OrderKey] = {}

    def is_fine(order_id: str, order: Resource) -> bool:
        pairs = (OrderKey(str(one.get("system")), str(one.get("value"))) for one in order.get("identifier", ()))
        found = {key.digest: key for key in pairs if orders.get(key.digest) == order_id}
        keys.update(found)
        return bool(found) and orders_in_use([order], base_url=context.server.base_url) == (order_id,)

    gone = _unless_refused(
        lambda context, kind, ids: _not_fine(context, kind, ids, told="status,identifier", is_fine=is_fine),
        context,
        TYPE,
        sorted(set(orders.values())),
    )
    standing = {digest: key for digest, key in keys.items() if orders[digest] not in gone}
    beside = set(_beside(context, standing, orders=orders))
    return [f"{TYPE}/{one}" for one in sorted({*gone, *beside})]


def _beside(context: Context, keys: Mapping[str, OrderKey], *, orders: Mapping[str, str]) -> Iterable[str]:
    """Orders whose identifier is another one's by now, which replaces them or makes it nobody's."""
    digests = sorted(keys)
    for start in range(0, len(digests), AT_ONCE):
        some = {digest: keys[digest] for digest in digests[start : start + AT_ONCE]}
        wanted = ",".join(token(key.system, key.value) for key in some.values())
        params = {"identifier": wanted, "_elements": "status,identifier,replaces"}
        hits = list(context.server.search(TYPE, params))
        for digest, key in some.items():
            under = [one for one in hits if carries(one, key.system, key.value)]
            if under and orders_in_use(under, base_url=context.server.base_url) != (orders[digest],):
                yield orders[digest]


def _not_fine(
    context: Context, resource_type: str, ids: Sequence[str], *, told: str, is_fine: Callable[[str, Resource], bool]
) -> list[str]:
    """Those of these resources that are not there, or not `is_fine`: listed at once, then confirmed one by one."""
    listed: dict[str, Resource] = {}
    for start in range(0, len(ids), AT_ONCE):
        params = {"_id": ",".join(ids[start : start + AT_ONCE]), "_elements": told}
        listed |= {str(one.get("id")): one for one in context.server.search(resource_type, params)}
    suspected = [one for one in ids if one not in listed or not is_fine(one, listed[one])]
    return [one for one in suspected if _is_confirmed(context, resource_type, one, is_fine=is_fine)]


def _is_confirmed(
    context: Context, resource_type: str, resource_id: str, *, is_fine: Callable[[str, Resource], bool]
) -> bool:
    try:
        current = context.server.read(resource_type, resource_id)
    except StudyError:
        return False  # hidden from us alone: nothing is known of it
    return not isinstance(current, Found) or not is_fine(resource_id, current.resource)


def _unless_refused(
    asked: Callable[[Context, str, Sequence[str]], list[str]], context: Context, resource_type: str, ids: Sequence[str]
) -> list[str]:
    """What `asked` answers; nothing where the server does not let us list that type, which is no trouble of the target."""
    try:
        return asked(context, resource_type, ids)
    except StudyError:
        return []
    except TargetPaused as error:
        if error.status in _NOT_ASKED:
            return []
        raise
