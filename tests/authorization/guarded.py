"""A TLS proxy before a FHIR server that lets through only what a token allows, asked of the authorization server each time.

It stands under a path of its own, tells in the smart-configuration where tokens are given, and answers as RFC 6750 3.1 has
it: 401 to a token that does not hold or is for somebody else, 403 to one whose scopes do not reach. That way the scopes
that syncd asks for are held to what it really does.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any

from tests.authorization import AUDIENCE, Authorization
from tests.authorization.papers import Papers
from tests.gateway import Gateway
from tests.proxy import Answer, Fault, RecordingProxy, Request

OUTSIDE = "/gateway/r4"
_OPEN = (f"{OUTSIDE}/metadata", f"{OUTSIDE}/.well-known/smart-configuration")


class GuardedServer(RecordingProxy):
    """`gives`: the authorization server that is asked; `wants_client`: it asks for a certificate of the test CA, too."""

    def __init__(self, target: str, *, gives: Authorization, papers: Papers, wants_client: bool = False) -> None:
        super().__init__(target, gateway=Gateway(outside=OUTSIDE, inside="/fhir"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers.certificate, papers.key)
        if wants_client:
            context.load_verify_locations(papers.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._gives = gives
        self.endpoint = ""
        """What the smart-configuration says; empty: where tokens are really given."""
        self.configuration: dict[str, Any] = {"capabilities": ["client-confidential-asymmetric", "permission-v2"]}
        self.tokens: set[str] = set()
        """All that were shown."""
        self.add_rule(self._guard)

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    @property
    def base_url(self) -> str:
        return self.url + OUTSIDE

    def _guard(self, request: Request) -> Fault | None:
        path = request.path.partition("?")[0]
        if path == _OPEN[1]:
            said = {**self.configuration, "token_endpoint": self.endpoint or self._gives.endpoint}
            return Answer(status=200, body=json.dumps(said).encode(), headers={"Content-Type": "application/json"})
        if path == _OPEN[0]:
            return None
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        self.tokens.add(token)
        found = self._gives.holds(token) if kind == "Bearer" else None
        if found is None or found.get("aud") != AUDIENCE:
            return _refusal(401, "invalid_token")
        return None if _allows(found, request.method, path) else _refusal(403, "insufficient_scope")


class GuardedArchive(RecordingProxy):
    """A gateway before an Orthanc: whoever has a token that holds gets in, as the user of `authorization`."""

    def __init__(self, target: str, *, gives: Authorization, authorization: str) -> None:
        super().__init__(target)
        self._gives = gives
        self._authorization = authorization
        self.add_rule(self._guard)

    def _guard(self, request: Request) -> Fault | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or self._gives.holds(token) is None:
            return Answer(status=401, body=b"{}", headers={"Content-Type": "application/json"})
        request.headers["authorization"] = self._authorization
        return None


def _refusal(status: int, error: str) -> Answer:
    issue = {"severity": "error", "code": "security"}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    headers = {"Content-Type": "application/fhir+json", "WWW-Authenticate": f'Bearer error="{error}"'}
    return Answer(status=status, body=body, headers=headers)


def _allows(token: Mapping[str, Any], method: str, path: str) -> bool:
    """Whether the scopes, in SMART 2's words, reach this request."""
    parts = path.removeprefix(OUTSIDE).strip("/").split("/")
    needed = {"GET": "r" if parts[0] else "s", "PUT": "cu", "DELETE": "d"}.get(method, "s" if "_search" in parts else "c")
    allowed: dict[str, str] = {}
    for resource_type, rights in re.findall(r"system/(\w+)\.(\w+)", str(token.get("scope", ""))):
        allowed[resource_type] = allowed.get(resource_type, "") + rights
    of_type = allowed.get(parts[0], "") if parts[0] else "".join(allowed.values())
    return set(needed) <= set(of_type)
