"""From settings to the values that the rooms take: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.cli import credentials
from syncd.cli.credentials import Authorizations
from syncd.cli.scopes import needs
from syncd.http.deadline import TURN
from syncd.http.headers import Credentials
from syncd.loop.connect import Site
from syncd.loop.context import Source
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.model.ids import ArchiveName
from syncd.model.study.reading import Reading
from syncd.publish.enveloped import EnvelopedHttp
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from syncd.selection.history import parse_history
from syncd.selection.rules import rules
from syncd.selection.site import Selection
from syncd.selection.window import parse_window
from syncd.settings import Settings
from syncd.settings.schema import ArchiveSettings

OnCall = Callable[[str, str], None]
"""Told (server, outcome) of every HTTP call."""


def authorizations(settings: Settings) -> Authorizations:
    """Who we are for each server, as far as that changes while syncd runs. Opens no connection."""
    return Authorizations(
        fhir=credentials.of_fhir(settings.fhir, needs=needs(settings, policy(settings))),
        archives={name: credentials.of_archive(name, chosen) for name, chosen in settings.archives.items()},
    )


def site(
    settings: Settings,
    *,
    on_call: OnCall = lambda server, outcome: None,
    known_as: Authorizations | None = None,
) -> Site:
    """Everything that the loop needs to know of one site; opens no connection. `known_as`: what `authorizations` gave."""
    several = len(settings.archives) > 1
    who = known_as if known_as is not None else authorizations(settings)
    http = EnvelopedHttp if settings.fhir.writes == "transaction" else FhirHttp

    def source(name: str, chosen: ArchiveSettings) -> Source:
        server = f"archive {name}" if several else "archive"
        return _source(ArchiveName(name), chosen, who.archives[name], on_call=lambda outcome: on_call(server, outcome))

    return Site(
        archives={ArchiveName(name): source(name, chosen) for name, chosen in settings.archives.items()},
        server=FhirServer(http(_fhir(settings, who.fhir), on_call=lambda outcome: on_call("fhir", outcome))),
        policy=policy(settings),
        fhir_version=settings.fhir.version,
        sweep_interval=settings.policy.sweep_interval,
        verify_interval=settings.policy.verify_interval,
        concurrency=settings.fhir.concurrency,
        on_delete=settings.policy.on_delete,
        provenance=settings.policy.provenance,
        selections=selections(settings),
        backfill_rate=settings.policy.backfill_rate,
        backfill_window=parse_window(settings.policy.backfill_window),
        adopt=settings.policy.adopt,
        ids=settings.fhir.ids,
        transactions=settings.fhir.writes != "single",
        rerender=settings.policy.rerender,
        longest_turn=TURN * max(settings.fhir.timeout, *(one.timeout for one in settings.archives.values())),
    )


def _source(
    name: ArchiveName, chosen: ArchiveSettings, who: Credentials | None, *, on_call: Callable[[str], None]
) -> Source:
    archive = OrthancArchive(
        ArchiveConnection(
            name=name,
            url=chosen.url,
            username=_text(chosen.username),
            password=_text(chosen.password),
            token=_text(chosen.token),
            ca_file=_text(chosen.ca_file),
            client_cert=_text(chosen.client_cert),
            client_key=_text(chosen.client_key),
            verify_tls=chosen.verify_tls,
            timeout=chosen.timeout,
            authorization=who,
        ),
        on_call=on_call,
        texts=rules(include=chosen.include, exclude=chosen.exclude).tags,
    )
    return Source(
        name=name,
        archive=archive,
        url=chosen.url,
        settle_after=chosen.settle_after,
        poll_interval=chosen.poll_interval,
    )


def selections(settings: Settings) -> dict[ArchiveName, Selection]:
    """What the site selects of each archive."""
    return {ArchiveName(name): _selection(settings, chosen) for name, chosen in settings.archives.items()}


def _selection(settings: Settings, chosen: ArchiveSettings) -> Selection:
    return Selection(
        rules=rules(include=chosen.include, exclude=chosen.exclude),
        history=parse_history(chosen.history),
        on_deselect=settings.policy.on_deselect,
    )


def policy(settings: Settings) -> MappingPolicy:
    """What the site decided about the mapping; the WADO-RS address may still have to be derived from the server."""
    first, *further = (_archive_policy(ArchiveName(name), chosen) for name, chosen in settings.archives.items())
    return MappingPolicy(
        archive=first,
        further=tuple(further),
        installation_id=settings.installation_id,
        endpoint_prefix=_text(settings.policy.endpoint_prefix),
        patient=settings.policy.patient,
        bad_uid=settings.policy.bad_uid,
        modality_scope=settings.policy.modality_scope,
        max_instances=settings.policy.max_instances,
        rejected_quality=settings.policy.rejected_quality,
        values=settings.policy.values,
        service_request=settings.policy.service_request,
        practitioner_from_name=settings.policy.practitioner_from_name,
        write_devices=settings.policy.write_devices,
        write_procedures=settings.policy.write_procedures,
        body_structure=settings.policy.body_structure,
        profile=_text(settings.policy.profile),
        accession_in_identifier={"true": True, "false": False}.get(settings.policy.accession_in_identifier),
        map_retired=settings.policy.map_retired,
        site_modality_system=_text(settings.policy.site_modality_system),
        list_manifest=settings.policy.list_manifest,
        sopclass_style=settings.policy.sopclass_style,
        reading=Reading(
            repair_utf8=settings.policy.repair_utf8,
            undeclared_charset=_text(settings.policy.undeclared_charset),
            title_from_image_type=settings.policy.title_from_image_type,
        ),
    )


def _archive_policy(name: ArchiveName, chosen: ArchiveSettings) -> ArchivePolicy:
    return ArchivePolicy(
        name=name,
        dicomweb_url=_text(chosen.public_dicomweb_url),
        wado_uri_url=_text(chosen.wado_uri_url),
        qido_url=_text(chosen.qido_url),
        viewer_url=_text(chosen.viewer_url),
        timezone=_text(chosen.timezone),
        patient_id_system=_text(chosen.patient_id_system),
        accession_system=_text(chosen.accession_system),
        study_id_system=_text(chosen.study_id_system),
        issuers=dict(chosen.issuers),
        other_patient_ids_system=_text(chosen.other_patient_ids_system),
        retrieve_location_uid=_text(chosen.retrieve_location_uid),
    )


def _fhir(settings: Settings, who: Credentials | None) -> FhirConnection:
    fhir = settings.fhir
    headers: Mapping[str, object] = fhir.headers
    return FhirConnection(
        url=fhir.url,
        auth_kind=fhir.auth.chosen_kind,
        username=_text(fhir.auth.username),
        password=_text(fhir.auth.password),
        token=_text(fhir.auth.token),
        headers={key: _text(value) for key, value in headers.items()},
        ca_file=_text(fhir.ca_file),
        client_cert=_text(fhir.client_cert),
        client_key=_text(fhir.client_key),
        verify_tls=fhir.verify_tls,
        timeout=fhir.timeout,
        concurrency=fhir.concurrency,
        authorization=who,
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
