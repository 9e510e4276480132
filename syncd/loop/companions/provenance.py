"""Paying what is owed: the Provenance of a write that was confirmed, sent after it and never in its way (RULES B8).

A debt is committed with the record that it belongs to, so a process killed at any point finds it again. It is paid at once
by whoever made it, and otherwise by a worker that has nothing better to do. The difficulty is a server that does not want
it: what it refuses for good is given up, counted and said, what may yet succeed is put off, and no study waits for either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from syncd.errors import LedgerUnavailable, ServerReset, StudyError, SyncdError, TargetPaused
from syncd.loop.context import Rooms
from syncd.loop.steps import Step, reached
from syncd.mapping.check.check import problems
from syncd.mapping.resources.provenance import device, provenance
from syncd.model.provenance import OwedProvenance
from syncd.model.words import ParkedReason
from syncd.model.work import LONGEST_BACKOFF
from syncd.plan.decide import Found
from syncd.publish.own import ForeignResource, keep

log = structlog.get_logger(__name__)

RULE = "RULES B8"
"""The rule that is counted where a Provenance is given up."""

AT_ONCE = 20
"""Debts paid before a worker looks for studies again."""

FIRST_DUE = 10.0
"""Seconds after the commit: until then the debt is its maker's to pay."""

ATTEMPTS = 20
"""Failures with growing pauses; afterwards one attempt a day, as with a study (RULES C6)."""

_DAY = 86400.0


def pay_due(rooms: Rooms) -> int:
    """Pay some of what is due; returns how many. Ends at the first that the server could not take now."""
    debts = rooms.ledger.trail.due(AT_ONCE, now=rooms.clock())
    return pay(rooms, debts)


def pay(rooms: Rooms, debts: Iterable[OwedProvenance]) -> int:
    """Send each, settle it, put it off or give it up; returns how many were dealt with for good.

    Raises `LedgerUnavailable` only."""
    paid = 0
    for owed in debts:
        try:
            _send(rooms, owed)
        except LedgerUnavailable:
            raise
        except (StudyError, ForeignResource) as error:
            _give_up(rooms, owed, str(error))
        except (ServerReset, TargetPaused) as error:
            if _serves(rooms, "Provenance"):
                _put_off(rooms, owed, str(error))
                break
            _give_up(rooms, owed, "the FHIR server does not serve Provenance")
        except SyncdError as error:
            _put_off(rooms, owed, str(error))
            break
        except Exception as error:  # noqa: BLE001 - a defect must neither end a worker nor lose the debt
            _put_off(rooms, owed, type(error).__name__)
            break
        else:
            rooms.ledger.trail.settle(owed)
        paid += 1
    return paid


def _send(rooms: Rooms, owed: OwedProvenance) -> None:
    try:
        _sent(rooms, owed, fresh=False)
    except StudyError as error:
        if error.reason != ParkedReason.REFERENCE_REFUSED:
            raise
        rooms.check_sentinel()  # a server that lost everything is not to blame for this
        _sent(rooms, owed, fresh=True)


def _sent(rooms: Rooms, owed: OwedProvenance, *, fresh: bool) -> None:
    """One PUT in the usual case: it must not be there yet, and is read only where it is (a crash after the write)."""
    version = rooms.fhir_version
    resource = provenance(owed, policy=rooms.policy, with_device=_has_device(rooms, fresh=fresh), fhir_version=version)
    found = problems(resource, fhir_version=version)
    if found:
        raise StudyError(ParkedReason.UNMAPPABLE, "; ".join(found[:3]))
    keep(rooms.server, resource, known=None, installation_id=rooms.installation_id)
    reached(Step.PROVENANCE_SENT)


def _has_device(rooms: Rooms, *, fresh: bool) -> bool:
    """Whether our Device is there to be named; written when it is first needed. `fresh`: ask the server for it."""
    wanted = device(rooms.policy, fhir_version=rooms.fhir_version)
    resource_id = str(wanted["id"])
    with rooms.locks.holding(f"Device/{resource_id}"):
        known = rooms.ledger.companion("Device", resource_id)
        try:
            if known is not None and fresh and not isinstance(rooms.server.read("Device", resource_id), Found):
                known = None
            kept = keep(rooms.server, wanted, known=known, installation_id=rooms.installation_id)
        except (StudyError, ForeignResource):
            return False
        except (ServerReset, TargetPaused):
            if _serves(rooms, "Device"):
                raise
            return False
        if kept != known:
            reached(Step.AGENT_SENT)
            rooms.ledger.save_companion(kept)
    return True


def _serves(rooms: Rooms, resource_type: str) -> bool:
    """Whether the server says that it has such resources; one that cannot be asked now may well."""
    try:
        return resource_type in rooms.server.capabilities().types
    except SyncdError:
        return True


def _put_off(rooms: Rooms, owed: OwedProvenance, reason: str) -> None:
    attempts = owed.attempts + 1
    pause = min(LONGEST_BACKOFF, 2.0**attempts) if attempts < ATTEMPTS else _DAY
    rooms.ledger.trail.put_off(replace(owed, attempts=attempts, due=rooms.clock() + pause))
    log.warning("provenance_put_off", study_uid=owed.study_uid, attempts=attempts, reason=reason)


def _give_up(rooms: Rooms, owed: OwedProvenance, reason: str) -> None:
    rooms.ledger.trail.give_up(owed, f"{owed.occasion.value}: not written, {reason}")
    rooms.observer.noted((RULE,))
    log.error("provenance_given_up", study_uid=owed.study_uid, occasion=owed.occasion.value, reason=reason)
