"""Ten thousand connections that ask nothing, to a daemon that may have a thousand files open (RULES S3)."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syncd.web.connections import LARGEST_NUMBER
from tests.faults.importing import Import
from tests.real.installation import Installation
from tests.servers import VERSIONS, Archive, FhirServer

_, NEW = VERSIONS
MANY = 10_000
DEFAULT_FILES = 1024
"""Open files that a process has by default (systemd.exec, LimitNOFILE): more connections than these would end its work."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """The clients are files of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < MANY + DEFAULT_FILES:
        pytest.fail(f"this test opens {MANY} connections, and {before[1]} files are allowed here: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections_keep_no_study_waiting(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation], many_files: None
) -> None:
    """docs/security.md: whoever reaches the port cannot end the daemon's work; health is told, every study arrives."""
    site = install(new_orthanc(NEW), hapi)
    whole = Import.of(site, number=20)
    site.syncd.start()
    pid = site.syncd.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (DEFAULT_FILES, DEFAULT_FILES))
    address = urlsplit(site.syncd.web)
    with ExitStack() as kept, whole.arriving():
        for _ in range(MANY):
            kept.enter_context(socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30))
        assert site.syncd.page("/livez").status == 200
        assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < LARGEST_NUMBER + 200
        whole.complete()
    whole.check()
