"""Paying what is owed: the Provenance of a write that was confirmed, sent after it and never in its way (RULES B8).

A debt is committed with the record that it belongs to, so a process killed at any point finds it again. It is paid at
once by whoever made it, and otherwise by a worker that has nothing better to do. A server may not want it: what it
refuses for good is given up, counted and said, what may yet succeed is put off, and no study waits for either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from syncd.errors import LedgerUnavailable, ServerReset, StudyError, SyncdError, TargetPaused
from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
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


def deliver_due(context: Context) -> int:
    """Pay some of what is due; returns how many. Ends at the first that the server could not take now."""
    debts = context.ledger.trail.due(AT_ONCE, now=context.clock())
    return deliver(context, debts)


def deliver(context: Context, debts: Iterable[OwedProvenance]) -> int:
    """Send each, settle it, put it off or give it up; returns how many were dealt with for good.

    Raises `LedgerUnavailable` only."""
    paid = 0
    for owed in debts:
        try:
            _send(context, owed)
        except LedgerUnavailable:
            raise
        except (StudyError, ForeignResource) as error:
            _give_up(context, owed, str(error))
        except (ServerReset, TargetPaused) as error:
            if _serves(context, "Provenance"):
                _put_off(context, owed, str(error))
                break
            _give_up(context, owed, "the FHIR server does not serve Provenance")
        except SyncdError as error:
            _put_off(context, owed, str(error))
            break
        except Exception as error:  # noqa: BLE001 - a defect must neither end a worker nor lose the debt
            _put_off(context, owed, type(error).__name__)
            break
        else:
            context.ledger.trail.settle(owed)
        paid += 1
    return paid


def _send(context: Context, owed: OwedProvenance) -> None:
    try:
        _put_provenance(context, owed, fresh=False)
    except StudyError as error:
        if error.reason != ParkedReason.REFERENCE_REFUSED:
            raise
        context.check_sentinel()  # a server that lost everything is not to blame for this
        _put_provenance(context, owed, fresh=True)


def _put_provenance(context: Context, owed: OwedProvenance, *, fresh: bool) -> None:
    """One PUT in the usual case: it must not be there yet, and is read only where it is (a crash after the write)."""
    version = context.fhir_version
    resource = provenance(owed, policy=context.policy, with_device=_has_device(context, fresh=fresh), fhir_version=version)
    found = problems(resource, fhir_version=version)
    if found:
        raise StudyError(ParkedReason.UNMAPPABLE, "; ".join(found[:3]))
    keep(context.server, resource, known=None, installation_id=context.installation_id)
    report_step(Step.PROVENANCE_SENT)


def _has_device(context: Context, *, fresh: bool) -> bool:
    """Whether our Device is there to be named; written when it is first needed. `fresh`: ask the server for it."""
    wanted = device(context.policy, fhir_version=context.fhir_version)
    resource_id = str(wanted["id"])
    with context.locks.hold(f"Device/{resource_id}"):
        known = context.ledger.companions.find("Device", resource_id)
        try:
            if known is not None and fresh and not isinstance(context.server.read("Device", resource_id), Found):
                known = None
            kept = keep(context.server, wanted, known=known, installation_id=context.installation_id)
        except (StudyError, ForeignResource):
            return False
        except (ServerReset, TargetPaused):
            if _serves(context, "Device"):
                raise
            return False
        if kept != known:
            report_step(Step.AGENT_SENT)
            context.ledger.companions.save(kept)
    return True


def _serves(context: Context, resource_type: str) -> bool:
    """Whether the server says that it has such resources; one that cannot be asked now may well."""
    try:
        return resource_type in context.server.capabilities().types
    except SyncdError:
        return True


def _put_off(context: Context, owed: OwedProvenance, reason: str) -> None:
    attempts = owed.attempts + 1
    pause = min(LONGEST_BACKOFF, 2.0**attempts) if attempts < ATTEMPTS else _DAY
    context.ledger.trail.put_off(replace(owed, attempts=attempts, due=context.clock() + pause))
    log.warning("provenance_put_off", study_uid=owed.study_uid, attempts=attempts, reason=reason)


def _give_up(context: Context, owed: OwedProvenance, reason: str) -> None:
    context.ledger.trail.give_up(owed, f"{owed.occasion.value}: not written, {reason}")
    context.observer.count_notes((RULE,))
    log.error("provenance_given_up", study_uid=owed.study_uid, occasion=owed.occasion.value, reason=reason)
