"""Both servers and the ledger in memory and in one folder: a whole site whose time moves only when a test says so.

The difficulty is to speak of real situations without a thread: `turn` gives one study its turn as a worker would, and
`settle` lets time pass as the archive's quiet would.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import listing, sweep
from syncd.loop.archives.intake import Intake, Polled
from syncd.loop.archives.listing import Asked, Looked
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.commands.resync import Choice, Report, resync
from syncd.loop.companions.target import probe
from syncd.loop.connect import Site, connect
from syncd.loop.context import Context, Source
from syncd.loop.outbox.dispatcher import Dispatcher
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.loop.workers.pool import Workers
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.model.ids import ArchiveName
from syncd.model.outbox import FHIR
from syncd.model.outcome import Outcome
from syncd.model.work import Mark, MarkKind
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from syncd.selection.site import Selection
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, FakeTransport, Request, Response
from tests.fakes.orthanc import FakeOrthanc
from tests.fakes.orthanc_tags import tags_of
from tests.ledger.made import claim_study
from tests.planted import ARCHIVE_PASSWORD, FHIR_TOKEN, SAM

MAIN, SECOND = ArchiveName("main"), ArchiveName("second")
SETTLE = 30.0
SYSTEM = "http://hospital.test/pid"
STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
ENDPOINT = "main-wado-rs"


class ShortOrthanc(FakeOrthanc):
    """The fake with main tags in the short form where they are asked for so, as both versions answer."""

    def answer(self, request: Request) -> Response:
        answer = super().answer(request)
        short = "short" in request.query or (request.path.startswith("/tools/") and b'"Short"' in request.body)
        if not short or answer.status != 200 or request.path.endswith("tags"):
            return answer
        return replace(answer, body=json.dumps(_short(answer.json)).encode())


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: tags_of(item) if name in _TAGS and all("," not in tag for tag in item) else item
        for name, item in value.items()
    }


_TAGS = ("MainDicomTags", "PatientMainDicomTags", "RequestedTags")


class World:
    """One site. `orthanc` and `fhir` are the fakes, `context` what the loop gets, `ledger` the real one."""

    on_delete = "cancelled"

    def __init__(self, folder: Path, *, empty_ledger: Path | None = None, fhir_version: str = "r4", **policy: Any) -> None:
        """`empty_ledger` is a ledger's file to begin with a copy of: quicker than to create one."""
        if empty_ledger is not None:
            shutil.copyfile(empty_ledger, folder / "ledger.db")
            (folder / "ledger.db").chmod(0o600)
        self.clock = Clock()
        self.orthanc = ShortOrthanc("1.12.7", clock=self.clock)
        self.fhir = FakeFhir(fhir_version, clock=self.clock)
        self.ledger_url = f"sqlite:///{folder}/ledger.db"
        self.ledger = Ledger.open(self.ledger_url, clock=self.clock)
        self.policy = MappingPolicy(
            archive=ArchivePolicy(name=MAIN, dicomweb_url="https://pacs.test/dicom-web", patient_id_system=SYSTEM), **policy
        )
        self.selections: dict[ArchiveName, Selection] = {}
        self.archives = {MAIN: self.new_archive()}
        self.second = ShortOrthanc("1.10.1", clock=self.clock, name="second")
        """Not part of the site before `with_second`."""
        self._context: Context | None = None
        self.ids = "auto"

    @property
    def selection(self) -> Selection:
        """What the site selects of MAIN."""
        return self.selections.get(MAIN, Selection())

    @selection.setter
    def selection(self, selection: Selection) -> None:
        self.selections[MAIN] = selection

    # -- the rooms -------------------------------------------------------------------------------------------------

    @property
    def archive(self) -> OrthancArchive:
        return self.archives[MAIN]

    def fake(self, name: ArchiveName) -> ShortOrthanc:
        return self.orthanc if name == MAIN else self.second

    def new_archive(self, name: ArchiveName = MAIN) -> OrthancArchive:
        fake = self.fake(name)
        return OrthancArchive(
            ArchiveConnection(name=name, url=fake.url, username="syncd", password=ARCHIVE_PASSWORD),
            transport=FakeTransport(fake),
        )

    def with_second(self, **chosen: Any) -> World:
        """The site with a second archive, SECOND, whose policy has `chosen`."""
        named = {"dicomweb_url": "https://second.test/dicom-web", "patient_id_system": SYSTEM, **chosen}
        self.archives[SECOND] = self.new_archive(SECOND)
        self.policy = replace(self.policy, further=(ArchivePolicy(name=SECOND, **named),))
        self._context = None
        return self

    def without(self, name: ArchiveName) -> World:
        """The site after that archive was taken out of the settings."""
        self.archives.pop(name).close()
        first, *further = (one for one in self.policy.archives if one.name != name)
        self.policy = replace(self.policy, archive=first, further=tuple(further))
        self._context = None
        return self

    def source(self, name: ArchiveName = MAIN) -> Source:
        return Source(name=name, archive=self.archives[name], url=self.fake(name).url, settle_after=SETTLE)

    def new_server(self, url: str = "") -> FhirServer:
        connection = FhirConnection(url=url or self.fhir.url, auth_kind="bearer", token=FHIR_TOKEN)
        return FhirServer(FhirHttp(connection, transport=FakeTransport(self.fhir)))

    @property
    def site(self) -> Site:
        return Site(
            archives={name: self.source(name) for name in self.archives},
            server=self.new_server(),
            policy=self.policy,
            concurrency=2,
            on_delete=self.on_delete,
            selections=self.selections,
            ids=self.ids,
        )

    def connect(self, **wanted: Any) -> Context:
        """As at a start of syncd: both servers asked, sentinel and Endpoints in place."""
        self._context = replace(connect(self.site, self.ledger, **wanted), clock=self.clock)
        return self._context

    @property
    def context(self) -> Context:
        return self._context if self._context is not None else self.connect()

    def lose_ledger(self, folder: Path) -> None:
        """Another, empty ledger."""
        self.ledger.close()
        self.ledger = Ledger.open(f"sqlite:///{folder}/another.db", clock=self.clock)
        self._context = None

    def workers(self, **wanted: Any) -> Workers:
        """Workers with breakers that probe both servers, as `resync` has them; wind them up with `work`."""
        context = self.context
        archives = CircuitBreakers({name: CircuitBreaker(source.archive.info) for name, source in context.archives.items()})
        return Workers(context, fhir=CircuitBreaker(lambda: probe(context)), archives=archives, concurrency=2, **wanted)

    @contextmanager
    def working(self, **wanted: Any) -> Iterator[Workers]:
        workers = self.workers(**wanted)
        try:
            yield workers
        finally:
            workers.stop(grace=10.0)

    def work(self) -> list[Outcome]:
        """Let workers do what is due; returns the outcomes in the order of their commits."""
        outcomes: list[Outcome] = []
        with self.working(on_outcome=outcomes.append) as workers:
            workers.run(until_idle=True)
        return outcomes

    # -- the archive -----------------------------------------------------------------------------------------------

    def store(
        self,
        study: str = STUDY,
        *,
        series: int = 1,
        instance: int = 1,
        modality: str = "CT",
        at: ArchiveName = MAIN,
        **tags: Any,
    ) -> str:
        """Store one instance; returns the Orthanc id of its study."""
        values = {"StudyDate": "20240102", "StudyTime": "030405", "PatientName": SAM, **tags}
        instance_id = self.fake(at).store(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{series}",
            SOPInstanceUID=f"{study}.{series}.{instance}",
            Modality=modality,
            SeriesNumber=str(series),
            InstanceNumber=str(instance),
            **values,
        )
        return self.fake(at).study_of(instance_id)

    def settle(self) -> None:
        """The archive calls everything stable, and every due time is over."""
        self.clock.advance(SETTLE + 1)
        self.orthanc.tick()
        self.second.tick()

    def delete(self, orthanc_id: str, *, at: ArchiveName = MAIN) -> None:
        self.fake(at).handle("DELETE", f"/studies/{orthanc_id}")

    # -- the loop --------------------------------------------------------------------------------------------------

    def intake(self, name: ArchiveName = MAIN) -> Intake:
        return Intake(self.archives[name], self.ledger, name=name, settle_after=SETTLE, clock=self.clock)

    def poll(self, name: ArchiveName = MAIN) -> Polled:
        self._begin(name)
        return self.intake(name).poll()

    def poll_all(self) -> None:
        for name in self.archives:
            self.poll(name)

    def sweep(self, name: ArchiveName = MAIN) -> int:
        return sum(self.swept(name).values())

    def swept(self, name: ArchiveName = MAIN, **wanted: Any) -> Mapping[str, int]:
        """What a sweep found, by kind; zeros left out."""
        self._begin(name)
        wanted = {"of": self.site.selection(name).history, **wanted}
        found = sweep.take(self.source(name), self.ledger, **wanted).found
        return {kind: number for kind, number in found.items() if number}

    def looked_through(self, asked: Asked, name: ArchiveName = MAIN) -> Looked:
        """What a resync finds to look at."""
        self._begin(name)
        return sweep.look_through(self.source(name), self.ledger, asked=asked, of=self.site.selection(name).history)

    def resynced(self, **chosen: Any) -> Report:
        """A whole `syncd resync`."""
        return resync(self.site, self.ledger, choice=Choice(**chosen), accept_target=False, progress=lambda report: None)

    def _begin(self, name: ArchiveName) -> None:
        listing.begin(self.archives[name], self.ledger, name=name, of=self.site.selection(name).history)

    def mark(self, study: str = STUDY, kind: MarkKind = MarkKind.RESYNC, **wanted: Any) -> None:
        self.ledger.marks.add([Mark(study_uid=study, kind=kind, archive=MAIN, **wanted)], settle_after=SETTLE)

    def task(self, study: str = STUDY) -> Task:
        """The study's turn, due or not."""
        context = self.context
        claim = claim_study(self.ledger, study)
        assert claim is not None, f"nothing is pending for {study}"
        return Task(claim=claim, context=context)

    def turn(self, study: str = STUDY) -> Outcome:
        """One reconcile of the study, committed. Whatever it raises hands the claim back."""
        task = self.task(study)
        try:
            outcome = reconcile(task).outcome
        except Exception:
            self.ledger.claims.release(study)
            raise
        self.ledger.outcomes.commit(outcome)
        return outcome

    def published(self, study: str = STUDY, **tags: Any) -> Outcome:
        """A stable study of one instance, published as `available`."""
        self.store(study, **tags)
        self.settle()
        self.poll()
        outcome = self.turn(study)
        assert outcome.record is not None and outcome.record.status == "available", outcome
        return outcome

    # -- the FHIR server -------------------------------------------------------------------------------------------

    def study(self, resource_id: str = STUDY) -> dict[str, Any]:
        """The ImagingStudy as the server holds it."""
        (found,) = (one for one in self.fhir.resources("ImagingStudy") if one["id"] == resource_id)
        return dict(found)

    def put(self, resource: dict[str, Any]) -> None:
        """Another program writes."""

        path = f"{self.fhir.mount}/{resource['resourceType']}/{resource['id']}"
        answer = self.fhir.handle("PUT", path, body=json.dumps(resource).encode())
        assert answer.status in (200, 201), answer.body

    def post(self, resource: dict[str, Any]) -> str:
        """Another program creates; returns the server's id."""
        answer = self.fhir.handle("POST", f"/fhir/{resource['resourceType']}", body=json.dumps(resource).encode())
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def remove(self, path: str) -> None:
        """Another program deletes."""
        answer = self.fhir.handle("DELETE", f"{self.fhir.mount}/{path}")
        assert answer.status == 200, answer.body

    def lose_patient(self, resource_id: str) -> None:
        """Server and ledger know nothing of this Patient of ours any more."""
        del self.fhir.store.versions["Patient", resource_id]
        self.ledger.marks.forget_target_state()

    def writes(self, resource_type: str = "ImagingStudy") -> list[Request]:
        """What was sent to be written so far."""
        return [one for one in self.fhir.requests if one.method == "PUT" and f"/{resource_type}/" in one.path]

    def asked(self, part: str) -> list[Request]:
        """Requests to the FHIR server whose path holds `part`."""
        return [one for one in self.fhir.requests if part in one.path]


def deliver_due(context: Context) -> int:
    """What an idle worker sends of what the FHIR server is owed; returns how much of it is over."""
    return Dispatcher(context, monotonic=context.clock).deliver_due(FHIR)


def puts(resource_type: str = "ImagingStudy", resource_id: str = "") -> Callable[[Request], bool]:
    """Whether a request writes such a resource."""
    return lambda request: request.method == "PUT" and f"/{resource_type}/{resource_id}" in request.path


def refused(status: int, text: str = "", *, code: str = "processing") -> Response:
    """An OperationOutcome."""

    issue = {"severity": "error", "code": code, "diagnostics": text}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return Response(status=status, headers={"Content-Type": "application/fhir+json"}, body=json.dumps(body).encode())
