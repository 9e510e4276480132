"""The two servers in containers, by testcontainers; only imported where an engine answers.

The difficulty is a restart: a container started again gets new host ports unless they are fixed, and a test's client
keeps the old address. So the host port is chosen here, on loopback, and stays.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

import docker.errors
from testcontainers.core.container import DockerContainer

from deploy.native.process import fetch, free_port
from deploy.native.servers import StartFailed
from tests.container_plans import Plan, hapi_plan, orthanc_plan


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
            ports: dict[str, Any] = container.ports  # its own method knows no address, Docker does
            ports[f"{self.plan.port}/tcp"] = ("127.0.0.1", self.port)
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
