"""The recording proxy: counted once, passed on whole, broken as told."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests

from tests.gateway import Gateway
from tests.proxy import Answer, CutReply, Drop, Fault, Hold, LoseReply, RecordingProxy

ProxyBefore = Callable[[str], RecordingProxy]


class Echo(BaseHTTPRequestHandler):
    """Answers with what it got: the body, and method and Host in headers."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(f"{self.command} {self.path}")
        self.send_response(201 if self.command == "PUT" else 200)
        self.send_header("Content-Length", str(len(body) if self.command != "HEAD" else 7))
        self.send_header("X-Host", self.headers["Host"])
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_PUT()

    def do_HEAD(self) -> None:
        self.do_PUT()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (Echo,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_request_is_recorded_before_its_answer_arrives(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """A second resync sends no write at all, counted here."""
    proxy = proxy_before(echo[0])
    with requests.Session() as session:
        for number in range(20):
            session.put(f"{proxy.url}/fhir/A/{number}?x=1", json={"n": number}, headers={"If-Match": 'W/"0"'})
            assert proxy.count(method="PUT") == number + 1
    last = proxy.exchanges()[-1]
    assert (last.method, last.path, last.status, last.json) == ("PUT", "/fhir/A/19?x=1", 201, {"n": 19})
    assert last.size == len('{"n": 19}')
    assert last.headers["if-match"] == 'W/"0"'


def test_the_server_sees_the_address_that_the_client_used(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """HAPI makes its absolute links from Host: they must lead through the proxy again."""
    proxy = proxy_before(echo[0])
    assert requests.get(proxy.url, timeout=10).headers["X-Host"] == urlsplit(proxy.url).netloc


def test_bodies_pass_whole_however_they_are_framed(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """Chunked requests (RFC 9112 7.1), answers to HEAD, bodies of a megabyte."""
    proxy = proxy_before(echo[0])
    assert requests.put(proxy.url, data=iter([b"ab", b"cde"]), timeout=10).content == b"abcde"
    assert requests.put(proxy.url, data=b"x" * 1_000_000, timeout=10).content == b"x" * 1_000_000
    assert requests.head(proxy.url, timeout=10).headers["Content-Length"] == "7"


def test_searches_by_post_are_no_writes(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """RULES B4: patients are searched by POST …/_search."""
    proxy = proxy_before(echo[0])
    proxy.fail(Answer(status=200, body=b"{}"), method="POST")
    requests.post(f"{proxy.url}/fhir/Patient/_search", data={"identifier": "x"}, timeout=10)
    requests.post(f"{proxy.url}/fhir", json={}, timeout=10)
    requests.get(f"{proxy.url}/fhir/Patient", timeout=10)
    assert [one.path for one in proxy.writes()] == ["/fhir"]


@pytest.mark.parametrize(("fault", "reaches_the_server"), [(Drop(), False), (LoseReply(), True), (CutReply(after=2), True)])
def test_a_lost_answer_is_lost_before_or_after_the_work(
    echo: tuple[str, list[str]], proxy_before: ProxyBefore, fault: Fault, reaches_the_server: bool
) -> None:
    """RULES C5: a write whose reply was lost may or may not have happened."""
    url, seen = echo
    proxy = proxy_before(url)
    proxy.fail(fault, method="PUT", path="/x$", times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.put(f"{proxy.url}/x", data=b"whole", timeout=10)
    assert seen == (["PUT /x"] if reaches_the_server else [])
    assert requests.put(f"{proxy.url}/x", data=b"whole", timeout=10).content == b"whole"


def test_an_answer_of_its_own_keeps_the_connection(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """RULES C6: 503 with Retry-After, from the proxy."""
    url, seen = echo
    proxy = proxy_before(url)
    proxy.fail(Answer(status=503, headers={"Retry-After": "7"}), times=1)
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc)
    for expected in (503, 200):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == expected
    connection.close()
    assert seen == ["GET /"]


def test_a_held_request_waits_for_the_test(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """Interleavings are made by events, not by sleeping."""
    url, seen = echo
    proxy = proxy_before(url)
    hold = Hold(until=threading.Event())
    proxy.fail(hold, path="/slow")
    client = threading.Thread(target=requests.get, args=(f"{proxy.url}/slow",), kwargs={"timeout": 30})
    client.start()
    assert hold.reached.wait(10)
    assert seen == []
    hold.until.set()
    proxy.wait_for(lambda exchanges: any(one.path == "/slow" for one in exchanges), timeout=10)
    client.join()
    assert seen == ["GET /slow"]


def test_a_server_that_is_down_looks_down(proxy_before: ProxyBefore) -> None:
    """Another test stops HAPI for a while; the record says that nobody answered."""
    proxy = proxy_before("http://127.0.0.1:9")
    with pytest.raises(requests.ConnectionError):
        requests.get(proxy.url, timeout=10)
    assert [one.status for one in proxy.exchanges()] == [0]


def test_healing_forgetting_and_waiting_too_long(echo: tuple[str, list[str]], proxy_before: ProxyBefore) -> None:
    """The tools of a test's second half."""
    proxy = proxy_before(echo[0])
    proxy.fail(Answer(status=500))
    assert requests.get(proxy.url, timeout=10).status_code == 500
    proxy.heal()
    proxy.forget()
    assert requests.get(proxy.url, timeout=10).status_code == 200
    assert proxy.count() == 1
    with pytest.raises(TimeoutError, match="1 exchanges"):
        proxy.wait_for(lambda exchanges: len(exchanges) > 1, timeout=0.05)


def test_a_gateway_maps_the_base_and_lets_nothing_else_through(echo: tuple[str, list[str]]) -> None:
    """docs/fhir-servers.md: what lies below its own path, and the path itself with a query; the server by its own name."""
    url, seen = echo
    gateway = Gateway(outside="/r4", inside="/fhir", etag=lambda etag: f"{etag}-gzip", drops=frozenset({"x-dropped"}))
    with RecordingProxy(url, gateway=gateway) as proxy, requests.Session() as session:
        session.trust_env = False
        for path in ("/r4/Patient/1", "/r4?page=2", "/r4"):
            answer = session.get(proxy.url + path)
            assert (answer.status_code, answer.headers["X-Host"]) == (200, urlsplit(url).netloc)
        assert [session.get(proxy.url + path).status_code for path in ("/fhir/Patient/1", "/r4x", "/")] == [404, 404, 404]
    assert seen == ["GET /fhir/Patient/1", "GET /fhir?page=2", "GET /fhir"]
    assert gateway.outward({"ETag": "1", "X-Dropped": "x", "A": "b"}) == {"ETag": "1-gzip", "A": "b"}
