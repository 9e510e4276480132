"""An archive that the settings do not name any more: it is spoken of, and waits for the operator (RULES C8).

Its studies are neither published with fewer series nor taken back for an archive that may only have been misspelt. Once
`syncd archive forget` said that it will not come back, its copies are dropped and its Endpoints switched off. The word
may be given beside a live daemon, which alone may write: so the wish is kept in the ledger, and whoever next owns it,
or does already, carries it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import structlog

from syncd.errors import ConfigurationError
from syncd.ledger.ledger import Ledger
from syncd.loop.context import Context
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.services import SUFFIXES, endpoint_id
from syncd.model.ids import ArchiveName
from syncd.model.work import Companion
from syncd.plan.decide import Found
from syncd.plan.ownership import installation_of
from syncd.publish.own import ForeignResource, keep

log = structlog.get_logger(__name__)


def removed_archives(ledger: Ledger, configured: Iterable[ArchiveName]) -> tuple[ArchiveName, ...]:
    """The archives that the ledger knows and the settings do not name."""
    return tuple(sorted(ledger.archives.names() - set(configured)))


def why(name: ArchiveName) -> str:
    """What is to be said of a removed archive."""
    return (
        f"archive {name} is not in the settings any more, and the studies that it holds wait: put it back, or run "
        f"`syncd archive forget {name}` if it will not come back"
    )


def log_removed(ledger: Ledger, configured: Iterable[ArchiveName]) -> None:
    """Name them in the log, at start."""
    for name in removed_archives(ledger, configured):
        log.warning("archive_removed", archive=name, reason=why(name))


def require_forgettable(ledger: Ledger, name: ArchiveName, *, configured: Collection[str], now: float) -> None:
    """Raise `ConfigurationError` for an archive that is still in use, or was never known."""
    if name in configured:
        raise ConfigurationError(
            f"archive {name} is still configured: take SYNCD_ARCHIVES__{name.upper()}__… out of the settings first"
        )
    if name not in ledger.archives.names() and name not in ledger.archives.to_switch_off():
        raise ConfigurationError(
            f"the ledger knows no archive {name!r}; it knows {', '.join(sorted(ledger.archives.names()))}"
        )
    heartbeat = ledger.overview.heartbeat()
    if heartbeat is not None and now - heartbeat.at < FOLLOWED and "behind_changes" in heartbeat.archives.get(name, {}):
        raise ConfigurationError(f"the running daemon still follows archive {name}: start it again with the new settings")


FOLLOWED = 30.0
"""Seconds for which a heartbeat is believed."""


def switch_off(context: Context) -> None:
    """Switch the Endpoints of forgotten archives off (MAPPING E). Raises what the FHIR server raises; tried again then."""
    for name in context.ledger.archives.to_switch_off():
        if name not in context.archives:
            for suffix in SUFFIXES if dialect(context.fhir_version).has_endpoints else ():
                _switch_off(context, endpoint_id(name, suffix, prefix=context.policy.endpoint_prefix))
            log.info("archive_forgotten", archive=name)
        context.ledger.archives.drop_forgotten(name)


def _switch_off(context: Context, resource_id: str) -> None:
    current = context.server.read("Endpoint", resource_id)
    if not isinstance(current, Found) or installation_of(current.resource) != context.installation_id:
        return
    meta = dialect(context.fhir_version).meta(context.policy)
    resource = {**current.resource, "meta": meta, "status": "off"}
    known = Companion(resource_type="Endpoint", resource_id=resource_id, version=current.version, digest="")
    try:
        kept = keep(context.server, resource, known=known, installation_id=context.installation_id)
    except ForeignResource:
        return  # somebody else took the id meanwhile
    context.ledger.companions.save(kept)
