"""The two servers in containers, by testcontainers; only imported where an engine answers.

The difficulty is a restart: a container started again gets new host ports unless they are fixed, and a test's client
keeps the old address. So the host port is chosen here, on loopback, and stays.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors
from testcontainers.core.container import DockerContainer

from deploy.native.process import fetch, free_port
from deploy.native.servers import StartFailed, basic_authorization
from tests.servers import PASSWORD, USERNAME

ORTHANC_IMAGES = {"1.10.1": "orthancteam/orthanc:22.4.0", "1.12.7": "orthancteam/orthanc:25.5.1"}
HAPI_IMAGE = "hapiproject/hapi:v8.8.0-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a container is made of. `probe` is the path that answers 200 once the server is ready."""

    image: str
    port: int
    environment: Mapping[str, str]
    base_path: str
    probe: str
    headers: Mapping[str, str]
    ready_within: float


class ContainerServer:
    """One server in a container; its data live as long as the container, so `start` after `kill` finds them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.port = free_port()
        self._container: DockerContainer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return self.url + self.plan.base_path

    def start(self) -> ContainerServer:
        if self._container is None:
            container = DockerContainer(self.plan.image).with_envs(**self.plan.environment)
            container.ports[f"{self.plan.port}/tcp"] = ("127.0.0.1", self.port)
            self._container = container.start()
        else:
            self._container.get_wrapped_container().start()
        self._wait()
        return self

    def stop(self) -> None:
        """The container ends in order; `remove` takes it away with its data."""
        if self._container is not None:
            with contextlib.suppress(docker.errors.APIError):
                self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        if self._container is not None:
            with contextlib.suppress(docker.errors.APIError):  # it may have ended already
                self._container.get_wrapped_container().kill()

    def remove(self) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None

    def _wait(self) -> None:
        pause, deadline = threading.Event(), time.monotonic() + self.plan.ready_within
        while time.monotonic() < deadline:
            if fetch(self.url + self.plan.probe, headers=self.plan.headers) is not None:
                return
            pause.wait(0.25)
        out, err = self._container.get_logs() if self._container else (b"", b"")
        raise StartFailed(f"{self.plan.image} did not answer\n{(out + err)[-4000:].decode(errors='replace')}")


def orthanc_container(version: str, *, stable_age: int, dicomweb: bool, options: Mapping[str, Any]) -> ContainerServer:
    return ContainerServer(orthanc_plan(version, stable_age=stable_age, dicomweb=dicomweb, options=options))


def hapi_container(*, fhir: str, durable: bool, validate: bool) -> ContainerServer:
    return ContainerServer(hapi_plan(fhir=fhir, durable=durable, validate=validate))


def orthanc_plan(version: str, *, stable_age: int, dicomweb: bool, options: Mapping[str, Any]) -> Plan:
    """The image takes its whole configuration as JSON from ORTHANC_JSON; a DicomWeb section loads the plugin."""
    settings: dict[str, Any] = {
        "StableAge": stable_age,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USERNAME: PASSWORD},
        **({"DicomWeb": {"Enable": True, "Root": "/dicom-web/"}} if dicomweb else {}),
        **options,
    }
    return Plan(
        image=ORTHANC_IMAGES[version],
        port=8042,
        environment={"ORTHANC_JSON": json.dumps(settings)},
        base_path="",
        probe="/system",
        headers=basic_authorization(USERNAME, PASSWORD),
        ready_within=120.0,
    )


def hapi_plan(*, fhir: str, durable: bool, validate: bool) -> Plan:
    """The starter's Spring properties; the database lies in the container, in a file where it must outlive a restart."""
    database = "jdbc:h2:file:/tmp/hapi" if durable else "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1"
    return Plan(
        image=HAPI_IMAGE,
        port=8080,
        environment={
            "hapi.fhir.fhir_version": fhir.upper(),
            "hapi.fhir.allow_external_references": "true",
            "hapi.fhir.validation.requests_enabled": str(validate).lower(),
            "spring.datasource.url": database,
        },
        base_path="/fhir",
        probe="/fhir/metadata",
        headers={},
        ready_within=300.0,
    )
