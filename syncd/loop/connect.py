"""From settings to rooms: both servers asked who they are, the target attached, our Endpoints in place.

One attempt that either gives `Rooms` or says what stands in the way; the daemon repeats it, a one-shot command does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from syncd.archive.interface import Archive
from syncd.errors import ConfigurationError
from syncd.ledger.ledger import Ledger
from syncd.loop.companions import require_sayable
from syncd.loop.hooks import Hook, load_hooks, shaped
from syncd.loop.rooms import Nobody, Observer, Rooms
from syncd.loop.target import attach, fhir_version, keep_endpoints
from syncd.mapping.fingerprint import fingerprint
from syncd.mapping.policy import MappingPolicy
from syncd.model.ids import ArchiveName
from syncd.model.study import ArchiveInfo
from syncd.publish.server import FhirServer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the settings say of one site. Durations are seconds."""

    archive: Archive
    archive_name: ArchiveName
    archive_url: str
    server: FhirServer
    policy: MappingPolicy
    fhir_version: str = "auto"
    settle_after: float = 30.0
    poll_interval: float = 1.0
    sweep_interval: float = 900.0
    concurrency: int = 4


def connect(site: Site, ledger: Ledger, *, accept_target: bool = False, observer: Observer | None = None) -> Rooms:
    """Raises `Transient` (a server does not answer, or is not what it should be), `TargetPaused`, `LedgerRefused`, and
    `ConfigurationError` for what only the operator can settle."""
    hooks = load_hooks()
    site.server.guard_writes(ledger.require_ownership)
    _keep_installation(ledger, site.policy.installation_id)
    policy = public_policy(site, site.archive.info())
    version = fhir_version(site.server, setting=site.fhir_version)
    require_sayable(site.server, policy=policy, fhir_version=version)
    attach(site.server, ledger, installation_id=policy.installation_id, version=version, accept=accept_target)
    rooms = _rooms(site, ledger, policy, version, hooks, observer)
    keep_endpoints(rooms)
    outdated = ledger.mark_outdated(rooms.fingerprint)
    if outdated:
        log.info("mapping_changed", studies_to_render_again=outdated)
    return rooms


def connect_dry(site: Site, ledger: Ledger) -> Rooms:
    """Rooms for deciding without writing: nothing is attached, written or marked."""
    hooks = load_hooks()
    policy = public_policy(site, site.archive.info())
    return _rooms(site, ledger, policy, fhir_version(site.server, setting=site.fhir_version), hooks, None)


def public_policy(site: Site, info: ArchiveInfo) -> MappingPolicy:
    """The policy with the address of the WADO-RS Endpoint: the configured one, else the archive's own DICOMweb root."""
    if site.policy.archive.dicomweb_url:
        return site.policy
    if not info.dicomweb_root:
        raise ConfigurationError(
            f"Orthanc at {site.archive_url} has no DICOMweb plugin, so FHIR would point to images nobody can fetch: "
            f"install it (Debian: orthanc-dicomweb), or set SYNCD_ARCHIVES__{site.archive_name.upper()}__PUBLIC_DICOMWEB_URL"
        )
    derived = f"{site.archive_url.rstrip('/')}/{info.dicomweb_root.strip('/')}"
    return replace(site.policy, archive=replace(site.policy.archive, dicomweb_url=derived))


def _keep_installation(ledger: Ledger, installation_id: str) -> None:
    """The tag on all that was published cannot be changed behind the ledger's back: servers keep the old one beside it."""
    known = ledger.installation()
    if known is None:
        ledger.save_installation(installation_id)
    elif known != installation_id:
        raise ConfigurationError(
            f"SYNCD_INSTALLATION_ID is {installation_id!r}, but this ledger published everything as {known!r}: "
            "put it back, or give the other installation a ledger of its own"
        )


def _rooms(
    site: Site, ledger: Ledger, policy: MappingPolicy, version: str, hooks: tuple[Hook, ...], observer: Observer | None
) -> Rooms:
    return Rooms(
        archive=site.archive,
        archive_name=site.archive_name,
        server=site.server,
        ledger=ledger,
        policy=policy,
        fhir_version=version,
        fingerprint=shaped(fingerprint(policy, fhir_version=version), hooks=hooks),
        settle_after=site.settle_after,
        revoke_grace=site.sweep_interval,
        hooks=hooks,
        observer=observer or Nobody(),
    )
