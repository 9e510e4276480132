"""From settings to rooms: both servers asked who they are, the target attached, our Endpoints in place.

One attempt that either gives `Context` or says what stands in the way; the daemon repeats it, a one-shot command does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from syncd.errors import ConfigurationError, StudyError, TargetPaused, Transient
from syncd.ledger.ledger import Ledger
from syncd.loop import removed_archive
from syncd.loop.companions.assigned_ids import DryNames, LedgerNames
from syncd.loop.companions.optional import require_sayable
from syncd.loop.companions.target import attach, fhir_version, keep_endpoints
from syncd.loop.context import Context, Nobody, Observer, Source
from syncd.loop.delivery import Delivery
from syncd.loop.hooks import Hook, fingerprint_with_hooks, load_hooks
from syncd.loop.study import selection
from syncd.mapping.fingerprint import fingerprint
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.profiles.guides import require_guide
from syncd.mapping.resources.provenance import writes_provenance
from syncd.model.ids import ArchiveName
from syncd.publish.assigned import AssigningServer
from syncd.publish.server import FhirServer
from syncd.selection.site import Selection
from syncd.selection.window import Window

log = structlog.get_logger(__name__)

HOLD = "hold"
"""POLICY__RERENDER: what is published stays as it was rendered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the settings say of one site. Durations are seconds."""

    archives: Mapping[ArchiveName, Source]
    """In the order of the settings; at least one."""
    server: FhirServer
    policy: MappingPolicy
    fhir_version: str = "auto"
    sweep_interval: float = 900.0
    verify_interval: float = 86400.0
    concurrency: int = 4
    on_delete: str = "cancelled"
    provenance: str = "corrections"
    sinks: tuple[Delivery, ...] = ()
    adopt: str = "registered"
    ids: str = "auto"
    transactions: bool = False
    selections: Mapping[ArchiveName, Selection] = field(default_factory=dict)
    """Where the site does not take everything of an archive."""
    backfill_rate: float | None = None
    backfill_window: Window | None = None
    rerender: str = "auto"
    longest_turn: float = 3600.0

    def selection(self, archive: ArchiveName) -> Selection:
        """What the site selects of this archive."""
        return self.selections.get(archive, Selection())


def connect(site: Site, ledger: Ledger, *, accept_target: bool = False, observer: Observer | None = None) -> Context:
    """Raises `Transient` (a server does not answer, or is not what it should be), `TargetPaused`, `LedgerRefused`, and
    `ConfigurationError` for what only the operator can settle. One archive that answers is enough, if the others did
    once, or the settings name their public address."""
    hooks = load_hooks()
    site.server.guard_writes(ledger.require_ownership)
    _keep_installation(ledger, site.policy.installation_id)
    roots = dicomweb_roots(site, ledger)
    policy = public_policy(site, roots)
    version = version_spoken(site)
    require_sayable(site.server, policy=policy, fhir_version=version)
    ids = ids_chosen(site, version)
    server = AssigningServer(site.server, names=LedgerNames(ledger), installation_id=policy.installation_id)
    context = replace(_context(site, server, ledger, policy, version, hooks, observer), ids=ids)
    try:
        attach(server, ledger, installation_id=policy.installation_id, version=version, accept=accept_target, ids=ids)
        if not roots.items() <= ledger.archives.dicomweb_roots().items():
            ledger.archives.save_dicomweb_roots({**ledger.archives.dicomweb_roots(), **roots})
        removed_archive.log_removed(ledger, site.archives)
        keep_endpoints(context)
        removed_archive.switch_off(context)
    except StudyError as error:
        # No study is concerned yet: what is refused now is refused to us as a whole (RULES C6).
        raise TargetPaused(
            f"The FHIR server at {site.server.base_url} refuses what syncd writes at its start ({error}): "
            "check SYNCD_FHIR__AUTH__* and what the account may write"
        ) from error
    _render_again(ledger, context.fingerprint, hold=site.rerender == HOLD)
    for name in site.archives:
        concerned = selection.follow_settings(ledger, name=name, selection=site.selection(name))
        if concerned:
            log.info("selection_changed", archive=name, studies_to_judge_again=concerned)
    return context


def _render_again(ledger: Ledger, fingerprint: str, *, hold: bool) -> None:
    """What another mapping or other settings rendered is marked, or held as it is (RULES B3, POLICY__RERENDER)."""
    ledger.rendering.begin(fingerprint, held=hold)
    outdated = ledger.records.count_outdated(fingerprint) if hold else ledger.marks.add_outdated(fingerprint)
    if outdated:
        log.info("rendering_held" if hold else "mapping_changed", studies_to_render_again=outdated)


def connect_dry(site: Site, ledger: Ledger) -> Context:
    """Rooms for deciding without writing: nothing is attached, written or marked."""
    hooks = load_hooks()
    policy = public_policy(site, dicomweb_roots(site, ledger))
    server = AssigningServer(site.server, names=DryNames(ledger), installation_id=policy.installation_id)
    target = ledger.facts.target()
    server.create_form = target.create_form if target is not None else ""
    return _context(site, server, ledger, policy, version_spoken(site), hooks, None)


def version_spoken(site: Site) -> str:
    """The FHIR version that the server speaks, and in which the site's profile, if any, is written."""
    version = fhir_version(site.server, setting=site.fhir_version)
    require_guide(site.policy.profile, fhir_version=version)
    return version


def ids_chosen(site: Site, version: str) -> str:
    """FHIR__IDS for that version. In DSTU2 the server's names are refused: its updates are conditional by the body alone,
    in a form that only an id of ours can prove."""
    if version != "dstu2":
        return site.ids
    if site.ids == "server":
        raise ConfigurationError("SYNCD_FHIR__IDS=server is not supported with FHIR DSTU2: set it to client or auto")
    return "client"


def public_policy(site: Site, roots: Mapping[str, str]) -> MappingPolicy:
    """The policy with the address of each WADO-RS Endpoint: the configured one, else the archive's own DICOMweb root."""
    first, *further = (
        replace(one, dicomweb_url=public_address(site.archives[one.name], one, root=roots.get(one.name, "")))
        for one in site.policy.archives
    )
    return replace(site.policy, archive=first, further=tuple(further))


def public_address(source: Source, chosen: ArchivePolicy, *, root: str) -> str:
    """Where others reach the archive's DICOMweb; `root` is what the archive says, empty without the plugin."""
    if chosen.dicomweb_url:
        return chosen.dicomweb_url
    if not root:
        raise ConfigurationError(
            f"Orthanc at {source.url} has no DICOMweb plugin, so FHIR would point to images nobody can fetch: "
            f"install it (Debian: orthanc-dicomweb), or set SYNCD_ARCHIVES__{source.name.upper()}__PUBLIC_DICOMWEB_URL"
        )
    return f"{source.url.rstrip('/')}/{root.strip('/')}"


def dicomweb_roots(site: Site, ledger: Ledger) -> dict[str, str]:
    """Where each archive says that its DICOMweb is; of one that is away, what it said before.

    Raises what the first one raises when none answers, or when nothing is known of one that is needed, and
    `ConfigurationError` for rules that an archive cannot answer."""
    known = ledger.archives.dicomweb_roots()
    roots: dict[str, str] = {}
    away: list[Transient] = []
    for name, source in site.archives.items():
        try:
            info = source.archive.info()
            selection.require_answerable(source, info, selection=site.selection(name))
            roots[name] = info.dicomweb_root
        except Transient as error:
            away.append(error)
            if name in known:
                roots[name] = known[name]
            elif not site.policy.of(name).dicomweb_url:
                raise
    if len(away) == len(site.archives):
        raise away[0]
    return roots


def _keep_installation(ledger: Ledger, installation_id: str) -> None:
    """The tag on all that was published cannot be changed behind the ledger's back: servers keep the old one beside it."""
    known = ledger.facts.installation()
    if known is None:
        ledger.facts.save_installation(installation_id)
    elif known != installation_id:
        raise ConfigurationError(
            f"SYNCD_INSTALLATION_ID is {installation_id!r}, but this ledger published everything as {known!r}: "
            "put it back, or give the other installation a ledger of its own"
        )


def _context(
    site: Site,
    server: FhirServer,
    ledger: Ledger,
    policy: MappingPolicy,
    version: str,
    hooks: tuple[Hook, ...],
    observer: Observer | None,
) -> Context:
    return Context(
        archives=site.archives,
        server=server,
        ledger=ledger,
        policy=policy,
        fhir_version=version,
        fingerprint=fingerprint_with_hooks(fingerprint(policy, fhir_version=version), hooks=hooks),
        revoke_grace=site.sweep_interval,
        adopt=site.adopt,
        ids=site.ids,
        transactions=site.transactions,
        hooks=hooks,
        on_delete=site.on_delete,
        provenance=site.provenance if writes_provenance(version) else "off",
        sinks=site.sinks,
        observer=observer or Nobody(),
        selections=site.selections,
        longest_turn=site.longest_turn,
    )
