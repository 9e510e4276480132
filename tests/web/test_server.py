"""uvicorn inside of our process: started, found, stopped."""

from __future__ import annotations

import signal
import socket
import threading

import pytest
import requests

from syncd.errors import ConfigurationError
from syncd.web.server import WebServer
from tests.web.facts import SetFacts, served


async def application(scope: object, receive: object, send: object) -> None:
    raise AssertionError("not asked in these tests")


def test_a_port_that_is_taken_is_an_error_of_the_settings() -> None:
    """Told before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"SYNCD_WEB__BIND: cannot listen on 127.0.0.1:{port}: Address already"
        ):
            WebServer(application, f"127.0.0.1:{port}").start()


def test_a_host_that_is_not_ours_is_an_error_of_the_settings() -> None:
    """A wrong value is told with what to write instead. 192.0.2.1 is reserved for documentation (RFC 5737)."""
    with pytest.raises(ConfigurationError, match="SYNCD_WEB__BIND"):
        WebServer(application, "192.0.2.1:0").start()


def test_the_address_names_the_real_port() -> None:
    """docs/operation.md, Health: port 0 takes a free one, and `status` tells which."""
    with served(SetFacts()) as url:
        assert not url.endswith(":0")
        assert requests.get(f"{url}/livez", timeout=10).status_code == 200


def test_an_address_for_everybody_is_told_as_one_that_can_be_called() -> None:
    """docs/operation.md, Health: nobody can call 0.0.0.0."""
    assert WebServer(application, "0.0.0.0:8053").url == "http://127.0.0.1:8053"
    assert WebServer(application, "[::]:8053").url == "http://[::1]:8053"
    assert WebServer(application, "pacs.example.org:80").url == "http://pacs.example.org:80"


def test_stopping_frees_the_port_and_ends_the_thread() -> None:
    """Ctrl-C and SIGTERM end the process, not a thread that holds it."""
    with served(SetFacts()) as url:
        port = int(url.rsplit(":", 1)[1])
        session = requests.Session()
        session.get(f"{url}/livez", timeout=10)
        assert [thread for thread in threading.enumerate() if thread.name == "syncd-web"]
    session.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "syncd-web"]
    again = WebServer(application, f"127.0.0.1:{port}")
    again.start()
    again.stop()
    again.stop()


def test_signals_stay_with_the_daemon() -> None:
    """The daemon decides what Ctrl-C and SIGTERM do."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with served(SetFacts()) as url:
        requests.get(f"{url}/livez", timeout=10)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
