"""The pages: `/livez`, `/readyz`, `/metrics` for machines and everybody, `/api/status` behind the token.

`/livez` fails only when a restart would help; `/readyz` fails when something outside must change, and says what, one
reason a line. They answer when the rest is broken, too: what cannot be read is itself a reason, told by our own words,
and never an exception's text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import structlog
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from syncd.errors import SyncdError
from syncd.web.facts import Facts
from syncd.web.failures import WrongTokens
from syncd.web.guard import SECURITY_HEADERS, Guard, allowed_hosts, has_token
from syncd.web.metrics import Metrics
from syncd.web.status import status_document

__all__ = ["allowed_hosts", "create_app"]

log = structlog.get_logger(__name__)


def create_app(facts: Facts, metrics: Metrics, *, token: Callable[[], str], allowed_hosts: Collection[str]) -> Starlette:
    """The application. `token` gives the one of now, empty where none is set; the function of that name makes
    `allowed_hosts`."""
    metrics.follow(facts)
    pages = _Pages(facts, metrics, token=token)
    return Starlette(
        routes=[
            Route("/livez", pages.livez),
            Route("/readyz", pages.readyz),
            Route("/metrics", pages.metrics),
            Route("/api/status", pages.status),
        ],
        middleware=[Middleware(Guard, hosts=allowed_hosts)],
        exception_handlers={HTTPException: _answer_refusal, SyncdError: _unreadable, Exception: _answer_failure},
    )


class _Pages:
    """Plain functions, run in worker threads, because the facts are read from a file."""

    def __init__(self, facts: Facts, metrics: Metrics, *, token: Callable[[], str]) -> None:
        self._facts = facts
        self._metrics = metrics
        self._token = token
        self._wrong_tokens = WrongTokens()

    def livez(self, request: Request) -> Response:
        if self._facts.alive():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the clockwork has stopped\n", status_code=503)

    def readyz(self, request: Request) -> Response:
        reasons = self._facts.ready()
        lines = list(reasons) if reasons else ["ok"]
        if "verbose" in request.query_params:
            lines = [*self._states(), *lines]
        return PlainTextResponse("\n".join(lines) + "\n", status_code=503 if reasons else 200)

    def metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": content_type})

    def status(self, request: Request) -> Response:
        self._require_token(request)
        document = status_document(
            counts=self._facts.counts(), heartbeat=self._facts.heartbeat(), reasons=self._facts.ready()
        )
        return JSONResponse(document)

    def _require_token(self, request: Request) -> None:
        """Raises 401, or 429 for whoever was wrong too often: then the right one would not be heard either, for else a
        guesser would learn it all the same."""
        address = request.client.host if request.client else ""
        pause = self._wrong_tokens.pause(address)
        if pause:
            raise HTTPException(429, "too many wrong tokens", headers={"Retry-After": str(math.ceil(pause))})
        if has_token(request.headers, token=self._token()):
            return
        if "authorization" in request.headers and self._wrong_tokens.count(address):
            log.warning("web_tokens_refused", address=address)
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer realm="syncd"'})

    def _states(self) -> list[str]:
        heartbeat = self._facts.heartbeat()
        archives = [_state(f"archive {name}", facts=facts) for name, facts in heartbeat.archives.items()]
        return [*archives, _state("FHIR server", facts=heartbeat.target)]


def _state(what: str, *, facts: object) -> str:
    known = facts if isinstance(facts, dict) else {}
    reason = known.get("reason", "")
    return f"{what}: {known.get('state', 'unknown')}{f' ({reason})' if reason else ''}"


def _answer_refusal(request: Request, error: Exception) -> Response:
    """401, 404, 405 and 429, as JSON."""
    if not isinstance(error, HTTPException):
        return _answer_failure(request, error)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _unreadable(request: Request, error: Exception) -> Response:
    """The ledger does not answer: not ready. An error of ours speaks without patient data (`syncd.errors`)."""
    return PlainTextResponse(f"{error}\n", status_code=503)


def _answer_failure(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log has its type and place; the answer has neither."""
    # Starlette gives this answer outside of every middleware, so the guard's headers are given here.
    return JSONResponse({"error": "internal error"}, status_code=500, headers=SECURITY_HEADERS)
