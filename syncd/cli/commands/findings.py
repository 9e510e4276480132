"""What `syncd check` finds: settings, both servers and the ledger, one line each, with what to do. It only reads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from syncd.auth.credentials import Granted
from syncd.cli.commands.rerender import describe_rerender
from syncd.cli.exits import Exit, code_of
from syncd.cli.wiring import authorizations, site
from syncd.errors import ConfigurationError, StudyError, SyncdError, Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop import removed_archive
from syncd.loop.companions.optional import require_sayable
from syncd.loop.connect import Site, dicomweb_roots, public_address, public_policy, version_spoken
from syncd.loop.context import Source
from syncd.loop.hooks import fingerprint_with_hooks, load_hooks
from syncd.loop.study.selection import count_concerned, require_answerable
from syncd.mapping.fingerprint import fingerprint
from syncd.mapping.resources.sentinel import sentinel_type
from syncd.model.work import Target
from syncd.publish import sentinel
from syncd.publish.assigned import ASSIGNED
from syncd.publish.bases import PageGone, nobody_serves
from syncd.publish.server import GET_THEN_PUT, VERSION_IN_BODY, FhirServer
from syncd.settings import Settings
from syncd.settings.schema import ArchiveSettings

_now = time.time

SKEW = 5.0
"""Seconds by which clocks may differ: both servers tell whole seconds, and an answer takes its time."""

DAY = 86_400.0
SOON = 30
"""Days before a client certificate ends in which it is told."""

NEEDED = frozenset({"ImagingStudy", "Patient"})
"""Besides the type of the sentinel: Endpoint, which DSTU2 does not have, or Basic."""


class Mark(Enum):
    OK = "ok"
    WARNING = "warn"
    BAD = "BAD"


_FORMS = {
    "": ("the first run tries out how it creates only what is not there", Mark.OK),
    "if-match-0": ('creates only what is not there, by If-Match: W/"0" (tried out)', Mark.OK),
    "if-none-match": ("creates only what is not there, by If-None-Match: * (tried out)", Mark.OK),
    VERSION_IN_BODY: ("creates only what is not there, by meta.versionId of what is sent (tried out)", Mark.OK),
    ASSIGNED: ("gives ids of its own: what is not there is created by If-None-Exist", Mark.OK),
    GET_THEN_PUT: (
        "has no way to create only what is not there (tried out): it is asked before each first write, and what somebody "
        "else creates at the same id between the two is overwritten (docs/guarantees.md)",
        Mark.WARNING,
    ),
}
"""What the create-only form of the ledger means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One finding: `code` is what the command exits with if nothing worse is found."""

    mark: Mark
    about: str
    text: str
    code: Exit = Exit.DONE


def find_all(settings: Settings) -> Iterator[Line]:
    """The lines, in the order in which an operator sets things up."""
    who = authorizations(settings)
    chosen = site(settings, known_as=who)
    yield Line(mark=Mark.OK, about="settings", text="all values are usable")
    yield from _warnings(settings)
    yield from _certificate("SYNCD_FHIR__CLIENT_CERT", settings.fhir.client_cert)
    for name, archive in settings.archives.items():
        yield from _certificate(f"SYNCD_ARCHIVES__{name.upper()}__CLIENT_CERT", archive.client_cert)
    yield from _lines_or_error("hooks", _hooks)
    for one in who.granted:
        yield from _lines_or_error("tokens", partial(_tokens, one))
    for source in chosen.archives.values():
        yield from _lines_or_error("archive", partial(_archive, chosen, source))
    yield from _lines_or_error("FHIR server", lambda: _fhir(chosen))
    yield from _lines_or_error("ledger", lambda: _ledger(settings, chosen))


def _lines_or_error(about: str, lines: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from lines()
    except SyncdError as error:
        yield Line(mark=Mark.BAD, about=about, text=str(error), code=code_of(error))


def _warnings(settings: Settings) -> Iterator[Line]:
    for name, chosen in settings.archives.items():
        yield from _archive_warnings(name, chosen)
    nameless = [name for name, one in settings.archives.items() if one.patient_id_system is None]
    if nameless and len(settings.archives) > 1:
        variables = ", ".join(f"SYNCD_ARCHIVES__{name.upper()}__PATIENT_ID_SYSTEM" for name in nameless)
        yield Line(
            mark=Mark.WARNING,
            about="settings",
            text=f"{variables}: unset beside another archive, so a study that lies in both is set aside "
            "(patient-conflict) unless its images name the issuer of the PatientID",
        )


def _archive_warnings(name: str, chosen: ArchiveSettings) -> Iterator[Line]:
    prefix = f"SYNCD_ARCHIVES__{name.upper()}__"
    if chosen.public_dicomweb_url is None:
        yield Line(
            mark=Mark.WARNING,
            about="settings",
            text=f"{prefix}PUBLIC_DICOMWEB_URL is unset: FHIR will name the internal address of Orthanc",
        )
    if chosen.patient_id_system is None:
        yield Line(
            mark=Mark.WARNING,
            about="settings",
            text=f"{prefix}PATIENT_ID_SYSTEM is unset: PatientIDs without a known issuer get no system, "
            "and existing Patients are not found by them",
        )
    if chosen.timezone is None:
        yield Line(
            mark=Mark.WARNING,
            about="settings",
            text=f"{prefix}TIMEZONE is unset: studies that do not name their time zone get dates without a time",
        )


def _certificate(setting: str, file: Path | None) -> Iterator[Line]:
    """A line where a certificate of ours ends soon, or has ended."""
    if file is None:
        return
    from syncd.auth.certificates import valid_until

    left = valid_until(file) - _now()
    if left < 0:
        text = f"{setting}: {file} expired {-left / DAY:.1f} days ago: have a new one signed"
        yield Line(mark=Mark.BAD, about="settings", text=text, code=Exit.UNREACHABLE)
    elif left < SOON * DAY:
        text = f"{setting}: {file} expires in {left / DAY:.1f} days"
        yield Line(mark=Mark.WARNING, about="settings", text=text)


def _hooks() -> Iterator[Line]:
    """One line, and none where there is no hook."""
    found = [f"{hook.name} ({hook.distribution})" for hook in load_hooks()]
    if found:
        yield Line(mark=Mark.OK, about="hooks", text=f"asked about every resource, in this order: {', '.join(found)}")


def _tokens(granted: Granted) -> Iterator[Line]:
    """What an authorization server gives us: for what we asked, what it granted, and for how long."""
    fetched = granted.tokens.current()
    token, of = fetched.token, f"for {granted.place.whose}, from {fetched.endpoint}: "
    told = " ".join(token.granted or ()) or "nothing that it names"
    asked = f"asked for {' '.join(fetched.asked)}" if fetched.asked else "asked for no scope by name"
    given = "all of it granted" if fetched.asked and not fetched.missing else f"granted {told}"
    lives = f"lives {token.lifetime:.0f} s" if math.isfinite(token.lifetime) else "it does not say how long it lives"
    audience = f"; for {token.audience}" if token.audience else ""
    yield Line(mark=Mark.OK, about="tokens", text=f"{of}{asked}: {given}; {lives}{audience}")
    if fetched.missing:
        text = f"{of}not granted: {' '.join(fetched.missing)}: have it allowed there, what needs it will be refused"
        yield Line(mark=Mark.WARNING, about="tokens", text=text)
    if not fetched.endpoint.startswith("https:"):
        text = f"{of}not by https, so anybody on the way can read them"
        yield Line(mark=Mark.WARNING, about="tokens", text=text)
    if fetched.ahead is not None:
        yield from _skew("tokens", _now() + fetched.ahead, of=of)


def _archive(chosen: Site, source: Source) -> Iterator[Line]:
    info = source.archive.info()
    require_answerable(source, info, selection=chosen.selection(source.name))
    address = public_address(source, chosen.policy.of(source.name), root=info.dicomweb_root)
    source.archive.high_water_mark()
    of = f"{source.name}: " if len(chosen.archives) > 1 else ""
    yield Line(mark=Mark.OK, about="archive", text=f"{source.name}: Orthanc {info.version} at {source.url}")
    if info.dicomweb_root:
        yield Line(mark=Mark.OK, about="archive", text=f"{of}images are offered at {address}")
    else:
        text = f"{of}no DICOMweb plugin: images must be offered by something else there"
        yield Line(mark=Mark.WARNING, about="archive", text=text)
    yield from _skew("archive", source.archive.clock(), of=of)


def _skew(about: str, theirs: float | None, *, of: str = "") -> Iterator[Line]:
    """A line where a server's clock and ours disagree: LastUpdate and marks are compared with ours (RULES A8, E5)."""
    now = _now()
    ahead = (theirs or now) - now
    if abs(ahead) > SKEW:
        side = "ahead of" if ahead > 0 else "behind"
        text = f"{of}its clock is {abs(ahead):.0f} s {side} this machine's: set both by NTP"
        yield Line(mark=Mark.WARNING, about=about, text=text)


def _fhir(chosen: Site) -> Iterator[Line]:
    version = version_spoken(chosen)
    capabilities = chosen.server.capabilities()
    yield Line(
        mark=Mark.OK,
        about="FHIR server",
        text=f"{capabilities.software or 'a server'} ({version}, {capabilities.fhir_version}) at {chosen.server.base_url}",
    )
    yield from _skew("FHIR server", capabilities.clock)
    missing = sorted((NEEDED | {sentinel_type(version)}) - capabilities.types)
    if missing:
        raise ConfigurationError(f"{chosen.server.base_url} does not serve {', '.join(missing)}")
    require_sayable(chosen.server, policy=chosen.policy, fhir_version=version)
    _turn_a_page(chosen.server)
    # One search with our credentials: a server may show its CapabilityStatement to everybody.
    present = sentinel.find_sentinels(chosen.server, installation_id=chosen.policy.installation_id, fhir_version=version)
    if present:
        yield Line(
            mark=Mark.OK, about="FHIR server", text=f"an installation {chosen.policy.installation_id!r} publishes here"
        )


def _turn_a_page(server: FhirServer) -> None:
    """Read the second page of a search, where the server holds two studies: behind a gateway its address may lead nowhere.

    Raises `Unsuitable` with the cause and the cure."""
    try:
        first = server.search_page("ImagingStudy", {"_elements": "identifier"}, count=1)
    except StudyError:
        return  # a server may refuse a search for everything
    if not first.following:
        return
    try:
        server.search_page("ImagingStudy", {}, following=first.following)
    except PageGone as error:
        raise Unsuitable(nobody_serves(server.base_url), server="fhir") from error


def _habits(chosen: Site, target: Target) -> Iterator[Line]:
    """What the server was found to be able to do, and what follows from it (docs/fhir-servers.md)."""
    text, mark = _FORMS.get(target.create_form, ("", Mark.OK))
    if text:
        yield Line(mark=mark, about="FHIR server", text=text)
    version = sentinel.version_of(chosen.server, target.sentinel_id, fhir_version=target.fhir_version)
    if version and not version.isdecimal():
        text = "its versions have no order: a restored backup is not told as one, only what differs in each study"
        yield Line(mark=Mark.OK, about="FHIR server", text=text)


def _selection(ledger: Ledger, chosen: Site) -> Iterator[Line]:
    """A line for each archive of which another selection will reach what is published or was left out."""
    for name in chosen.archives:
        concerned = count_concerned(ledger, name=name, selection=chosen.selection(name))
        if concerned:
            text = f"{concerned} studies of archive {name} will be judged again: what is selected changed"
            yield Line(mark=Mark.WARNING, about="ledger", text=text)


def _ledger(settings: Settings, chosen: Site) -> Iterator[Line]:
    owner = Ledger.owner_alive(settings.ledger.url)
    place = settings.ledger.place
    if owner is not None:
        yield Line(mark=Mark.OK, about="ledger", text=f"{place}, held by a running syncd (pid {owner})")
    elif not Ledger.exists(settings.ledger.url):
        yield Line(mark=Mark.OK, about="ledger", text=f"{place} will be created by the first run")
        return
    ledger = Ledger.open_guest(settings.ledger.url)
    try:
        yield from _selection(ledger, chosen)
        target = ledger.facts.target()
        if owner is None:
            yield Line(mark=Mark.OK, about="ledger", text=f"{place}, no daemon is running")
        if target is not None and target.url == chosen.server.base_url:
            yield from _lines_or_error("FHIR server", partial(_habits, chosen, target))
        if target is not None and target.url != chosen.server.base_url:
            yield Line(
                mark=Mark.WARNING,
                about="ledger",
                text=f"it belongs to {target.url}: `syncd resync --accept-target` publishes everything anew elsewhere",
            )
        for name in removed_archive.removed_archives(ledger, chosen.archives):
            yield Line(mark=Mark.WARNING, about="ledger", text=removed_archive.why(name))
        try:
            policy = public_policy(chosen, dicomweb_roots(chosen, ledger))
            spoken = target.fhir_version if target is not None else "r4"
            outdated = ledger.records.count_outdated(
                fingerprint_with_hooks(fingerprint(policy, fhir_version=spoken), hooks=load_hooks())
            )
        except SyncdError:
            return  # the archive's own line says why
        for text in describe_rerender(chosen, ledger, outdated=outdated):
            yield Line(mark=Mark.WARNING, about="ledger", text=text)
    finally:
        ledger.close()
