"""A server in a container keeps its address over kill and start; a stand-in plays the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from deploy.native.process import fetch
from tests import containers
from tests.container_plans import orthanc_plan
from tests.containers import ContainerServer


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class StandIn:
    """What the tests use of testcontainers' DockerContainer and of the container it wraps."""

    made: ClassVar[list[StandIn]] = []

    def __init__(self, image: str) -> None:
        self.image = image
        self.ports: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.removed = False
        self._server: HTTPServer | None = None
        self.made.append(self)

    def with_envs(self, **variables: str) -> StandIn:
        self.environment = variables
        return self

    def get_wrapped_container(self) -> StandIn:
        return self

    def start(self) -> StandIn:
        self._server = HTTPServer(self.ports["8042/tcp"], Answering)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def kill(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def stop(self) -> None:
        self.kill()
        self.removed = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerServer]:
    monkeypatch.setattr(containers, "DockerContainer", StandIn)
    monkeypatch.setattr(StandIn, "made", [])
    server = ContainerServer(orthanc_plan("1.12.7", stable_age=1, dicomweb=True, options={}))
    yield server
    server.remove()


def test_a_container_keeps_its_address_and_its_data(server: ContainerServer) -> None:
    """docs/cases.md: a server that is killed and comes back is the same one, where it was."""
    address = server.start().base_url
    server.kill()
    assert fetch(f"{address}/system") is None
    assert server.start().base_url == address
    assert fetch(f"{address}/system", headers=server.plan.headers) == b"{}"
    assert len(StandIn.made) == 1, "a second container would have lost the data"
    server.remove()
    assert StandIn.made[0].removed


def test_a_container_listens_on_loopback_with_the_plans_configuration(server: ContainerServer) -> None:
    """RULES S3: nothing of the tests is open to the network."""
    server.start()
    (made,) = StandIn.made
    assert made.ports == {"8042/tcp": ("127.0.0.1", server.port)}
    assert made.environment == server.plan.environment
