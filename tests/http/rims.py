"""The two clients, asked in the same way: for one small answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Protocol

from syncd.archive.rest.calls import Calls
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName
from syncd.publish.http import FhirConnection, FhirHttp


class Rim(Protocol):
    """A client of the server at `url`; what is returned asks, once and no more."""

    def __call__(self, url: str, **connection: Any) -> Callable[[], Any]: ...


def fhir(url: str, **connection: Any) -> Callable[[], Any]:
    client = FhirHttp(FhirConnection(url=url, **connection))
    return lambda: client.exchange("GET", "Patient/1")


def archive(url: str, **connection: Any) -> Callable[[], Any]:
    calls = Calls(ArchiveConnection(name=ArchiveName("main"), url=url, **connection))

    def ask() -> Any:
        with closing(calls):
            return calls.ask(lambda http: http.get("/system"), dict, what="GET /system")

    return ask


RIMS: Mapping[str, Rim] = {"fhir": fhir, "archive": archive}
SETTINGS = {"fhir": "SYNCD_FHIR__", "archive": "SYNCD_ARCHIVES__MAIN__"}
