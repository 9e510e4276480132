"""Getting to know the FHIR server: is it the one this ledger belongs to, and does it hold our Endpoints?

Everything that was ever published is believed only as long as the sentinel is there (RULES E3). The order of the first
write matters: its id is committed before it is sent, so a crash between the two is not taken for another installation's
sentinel.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from syncd.errors import ConfigurationError, LedgerRefused, ServerReset, Transient, Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop.companions.ours import hold_ours, remember
from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
from syncd.mapping.dialects.registry import release
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.sentinel import sentinel_type
from syncd.model.work import Target
from syncd.publish import sentinel
from syncd.publish.assigned import ASSIGNED
from syncd.publish.own import ForeignResource, keep
from syncd.publish.server import FhirServer

log = structlog.get_logger(__name__)

SENTINEL_INTERVAL = 30.0
"""Seconds between two looks at the sentinel, so that an idle daemon notices a server that went away or was wiped."""

DOUBTFUL = 3
"""Refused creations in a row, of what was not there, after which the create-only form is proved again."""

SUPPORTED = ("dstu2", "r4", "r4b", "r5", "r6")
"""The versions in which a server can be written to."""


def fhir_version(server: FhirServer, *, setting: str) -> str:
    """The server's release as our setting names it. Raises `Unsuitable`, or `ConfigurationError` for a contradiction."""
    said = server.capabilities().fhir_version
    spoken = release(said)
    if setting not in ("auto", spoken):
        raise ConfigurationError(
            f"SYNCD_FHIR__VERSION is {setting}, but {server.base_url} speaks {spoken} ({said}): "
            "set it to auto, or SYNCD_FHIR__URL to the right server"
        )
    if spoken not in SUPPORTED:
        raise Unsuitable(
            f"{server.base_url} speaks FHIR {said} ({spoken}); this version of syncd supports {', '.join(SUPPORTED)}",
            server="fhir",
        )
    return spoken


def attach(
    server: FhirServer, ledger: Ledger, *, installation_id: str, version: str, accept: bool = False, ids: str = "auto"
) -> None:
    """Make sure that `server` is the ledger's target, write or prove the sentinel, and set `server.create_form`.

    `accept` is the operator's word (`resync --accept-target`); `ids` is FHIR__IDS. Raises `LedgerRefused` where that word
    is needed.
    """
    target = ledger.facts.target()
    # Names that the server gave must be understood before anything of ours is looked for: by a lost ledger, too.
    server.create_form = target.create_form if target is not None else ASSIGNED
    if target is None:
        target, known = _first_target(server, installation_id=installation_id, version=version, accept=accept)
        if known:
            ledger.verification.want("the ledger is new, and the FHIR server holds what was published before")
        ledger.facts.save_target(target)
        report_step(Step.SENTINEL_INTENDED)
    elif target.url != server.base_url:
        target = _follow_moved_target(
            server, ledger, target, installation_id=installation_id, version=version, accept=accept
        )
    elif target.create_form and not sentinel.present(
        server, target.sentinel_id, installation_id=installation_id, fhir_version=version
    ):
        target = _forget_target(ledger, target)
    if server.is_named(sentinel_type(version), target.sentinel_id):
        ids = sentinel.SERVER
    if not target.create_form or (ids == sentinel.SERVER and target.create_form != ASSIGNED):
        target = _prove(server, ledger, replace(target, fhir_version=version), installation_id=installation_id, ids=ids)
    server.create_form = target.create_form


def restore(context: Context) -> None:
    """The server lost what it confirmed (C6): a new sentinel, our Endpoints, and every record verified before it is
    believed. The proof is kept last, so an interruption anywhere makes it begin anew."""
    server, ledger = context.server, context.ledger
    target = ledger.facts.target()
    if target is None:
        return
    present = sentinel.present(
        server, target.sentinel_id, installation_id=context.installation_id, fhir_version=context.fhir_version
    )
    if target.create_form or not present:
        target = _forget_target(ledger, target, keep_sentinel=present)
    form = sentinel.prove(
        server,
        target.sentinel_id,
        installation_id=context.installation_id,
        fhir_version=context.fhir_version,
        ids=context.ids,
    )
    server.create_form = form
    keep_endpoints(context)
    ledger.facts.save_target(replace(target, create_form=form))


def probe(context: Context) -> None:
    """The server answers, and still holds our sentinel; a missing one is dealt with as a reset. Raises when it is unfit."""
    if context.server.refused_creations >= DOUBTFUL:
        _prove_anew(context)
    if _intact(context):
        return
    with context.locks.hold("restore"):
        if not _intact(context):  # nobody else met the same and dealt with it
            restore(context)


def _intact(context: Context) -> bool:
    target = context.ledger.facts.target()
    try:
        context.check_sentinel()
    except ServerReset:
        return False
    return target is None or bool(target.create_form)


def _forget_target(ledger: Ledger, target: Target, *, keep_sentinel: bool = False) -> Target:
    """Nothing that the server confirmed is believed any more. The marks come first: killed after them, the next start
    finds the sentinel missing once more, and marks again."""
    marked = ledger.marks.forget_target_state()
    ledger.verification.want("the FHIR server was reset")
    fresh = replace(target, create_form="", sentinel_id=target.sentinel_id if keep_sentinel else sentinel.new_id())
    ledger.facts.save_target(fresh)
    log.warning("server_reset_noticed", studies_to_verify=marked)
    return fresh


def _prove(server: FhirServer, ledger: Ledger, target: Target, *, installation_id: str, ids: str) -> Target:
    form = sentinel.prove(
        server, target.sentinel_id, installation_id=installation_id, fhir_version=target.fhir_version, ids=ids
    )
    report_step(Step.SENTINEL_PROVED)
    proved = replace(target, create_form=form)
    ledger.facts.save_target(proved)
    return proved


def _prove_anew(context: Context) -> None:
    """The create-only form creates nothing: it was believed too easily, or the server changed (RULES C2)."""
    target = context.ledger.facts.target()
    context.server.refused_creations = 0
    if target is None or target.create_form in ("", ASSIGNED):
        return
    before, target = (
        target.create_form,
        _prove(context.server, context.ledger, target, installation_id=context.installation_id, ids=context.ids),
    )
    context.server.create_form = target.create_form
    log.warning("create_form_changed", before=before, now=target.create_form)


def keep_endpoints(context: Context, *, verify: bool = False) -> None:
    """Write our Endpoints where they differ; with `verify`, also where the server lost them.

    Raises `ConfigurationError` when an id of ours is taken (RULES B5)."""
    try:
        _keep_endpoints(context, verify=verify)
    except Transient:
        if context.server.refused_creations < DOUBTFUL:
            raise
        _prove_anew(context)
        _keep_endpoints(context, verify=verify)


def _keep_endpoints(context: Context, *, verify: bool) -> None:
    for resource in endpoints(context.policy, fhir_version=context.fhir_version):
        with hold_ours(resource, context=context, fresh=verify) as known:
            try:
                kept = keep(context.server, resource, known=known, installation_id=context.installation_id)
            except ForeignResource as error:
                raise ConfigurationError(
                    f"Endpoint/{resource['id']} on the FHIR server belongs to another writer: "
                    "set SYNCD_POLICY__ENDPOINT_PREFIX so that our Endpoints get ids of their own"
                ) from error
            except ServerReset:
                # The sentinel tells whether more than this was lost; whoever asks for it next will know.
                kept = keep(context.server, resource, known=None, installation_id=context.installation_id)
            remember(kept, known=known, context=context, step=Step.ENDPOINT_SENT)


def _first_target(server: FhirServer, *, installation_id: str, version: str, accept: bool) -> tuple[Target, bool]:
    """The target, and whether something of ours lies there already (RULES E7)."""
    present = sentinel.find_sentinels(server, installation_id=installation_id, fhir_version=version)
    if present and not accept:
        raise LedgerRefused(
            f"{server.base_url} already holds what an installation named {installation_id!r} published, but this ledger "
            "is new. If the ledger was lost, run `syncd resync --accept-target`; if two installations share the server, "
            "give each its own SYNCD_INSTALLATION_ID"
        )
    sentinel_id = present[0] if present else sentinel.new_id()
    return Target(url=server.base_url, sentinel_id=sentinel_id, fhir_version=version, create_form=""), bool(present)


def _follow_moved_target(
    server: FhirServer, ledger: Ledger, target: Target, *, installation_id: str, version: str, accept: bool
) -> Target:
    """Another address: the same server under a new name if the sentinel is there, else only by the operator's word."""
    if sentinel.present(server, target.sentinel_id, installation_id=installation_id, fhir_version=version):
        moved = replace(target, url=server.base_url)
        ledger.facts.save_target(moved)
        return moved
    if not accept:
        raise LedgerRefused(
            f"This ledger belongs to {target.url}, and {server.base_url} is another server (our sentinel is not there). "
            "Put SYNCD_FHIR__URL back, or run `syncd resync --accept-target` to publish everything there"
        )
    present = sentinel.find_sentinels(server, installation_id=installation_id, fhir_version=version)
    ledger.marks.forget_target_state()
    moved = replace(target, url=server.base_url, sentinel_id=present[0] if present else sentinel.new_id(), create_form="")
    ledger.facts.save_target(moved)
    return moved
