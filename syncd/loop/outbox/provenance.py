"""The Provenance of a correction, as a kind of the outbox: to the FHIR server, with the Device that stands for syncd."""

from __future__ import annotations

from syncd.errors import ServerReset, StudyError, SyncdError, TargetPaused
from syncd.loop.context import Context
from syncd.loop.delivery import Refused
from syncd.loop.steps import Step
from syncd.mapping.check.check import problems
from syncd.mapping.resources.provenance import device, provenance
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.provenance import PROVENANCE, OwedProvenance
from syncd.model.words import ParkedReason
from syncd.model.work import StudyRecord
from syncd.plan.provenance import provenance_owed
from syncd.publish.own import ForeignResource, keep


class ProvenanceDelivery:
    """A server may not want any: what it refuses for good, or does not serve, is given up."""

    kind = PROVENANCE
    sink = FHIR

    def __init__(self, context: Context) -> None:
        self._context = context

    def owe(self, before: StudyRecord | None, after: StudyRecord, *, intended_at: float) -> tuple[OutboxEntry, ...]:
        return provenance_owed(before, after, scope=self._context.provenance, intended_at=intended_at)

    def send(self, entry: OutboxEntry) -> None:
        owed = OwedProvenance.of_entry(entry)
        try:
            _send(self._context, owed)
        except (StudyError, ForeignResource) as error:
            raise _refused(owed, str(error)) from error
        except (ServerReset, TargetPaused) as error:
            if _serves(self._context, "Provenance"):
                raise
            raise _refused(owed, "the FHIR server does not serve Provenance") from error


def _refused(owed: OwedProvenance, reason: str) -> Refused:
    return Refused(f"{owed.occasion.value}: not written, {reason}")


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


def _has_device(context: Context, *, fresh: bool) -> bool:
    """Whether our Device is there to be named; written when it is first needed. `fresh`: ask the server for it."""
    wanted = device(context.policy, fhir_version=context.fhir_version)
    try:
        with context.hold_ours(wanted, fresh=fresh) as known:
            kept = keep(context.server, wanted, known=known, installation_id=context.installation_id)
            context.remember(kept, known=known, step=Step.AGENT_SENT)
    except (StudyError, ForeignResource):
        return False
    except (ServerReset, TargetPaused):
        if _serves(context, "Device"):
            raise
        return False
    return True


def _serves(context: Context, resource_type: str) -> bool:
    """Whether the server says that it has such resources; one that cannot be asked now may well."""
    try:
        return resource_type in context.server.capabilities().types
    except SyncdError:
        return True
