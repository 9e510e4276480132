"""The authorization server of the tests, which is not ours: oidc-provider (MIT) by Node, over TLS (`server.mjs`).

`make test` installs its packages into `.work/authorization`, as the lock in this folder names them by version and SHA-512,
wherever they come from; nothing of them is kept in this repository. It holds everything in memory: a restart forgets
which tokens it gave, and which assertions it has seen.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.native.process import ServerProcess
from tests.authorization.papers import Papers

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent.parent / ".work" / "authorization"

AUDIENCE = "https://fhir.example.org/"
"""For whom its tokens are, unless it is told otherwise."""
GUARD = ("guard", "the guard's own secret")
"""The client that may ask whether a token holds."""


def is_installed() -> bool:
    """Whether its packages are here."""
    return (MODULES / "node_modules" / "oidc-provider").is_dir()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A registered client: with a secret, or with the public keys of a JWK Set."""

    client_id: str
    secret: str = ""
    method: str = "private_key_jwt"
    keys: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    scopes: Sequence[str] = ()

    def registration(self) -> dict[str, Any]:
        """As RFC 7591 names it."""
        said: dict[str, Any] = {
            "client_id": self.client_id,
            "grant_types": ["client_credentials"],
            "response_types": [],
            "redirect_uris": [],
            "token_endpoint_auth_method": self.method,
            "scope": " ".join(self.scopes),
        }
        return {**said, "client_secret": self.secret} if self.secret else {**said, "jwks": {"keys": list(self.keys)}}


class Authorization(ServerProcess):
    """One oidc-provider. `clients` are registered when it starts."""

    name = "Authorization"
    advice = "Are its packages installed (python3 -m scripts.set_up test)?"

    def __init__(self, *, directory: Path, papers: Papers, clients: Sequence[Known], scopes: Sequence[str]) -> None:
        super().__init__(directory=directory, port=0)
        self._papers = papers
        self._clients = clients
        self._scopes = scopes
        context = ssl.create_default_context(cafile=papers.authority)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._direct = urllib.request.build_opener(*handlers)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"{self.url}/token"

    def command(self) -> Sequence[str]:
        guard = Known(client_id=GUARD[0], secret=GUARD[1], method="client_secret_post", scopes=self._scopes)
        settings = {
            "certificate": str(self._papers.certificate),
            "key": str(self._papers.key),
            "clients": [one.registration() for one in (*self._clients, guard)],
            "scopes": list(self._scopes),
            "audience": AUDIENCE,
            "jwks": {"keys": [self._papers.signing_key]},
        }
        file = self.directory / "settings.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        return ("node", str(HERE / "server.mjs"), str(self.port), str(MODULES), str(file))

    def is_ready(self) -> bool:
        return f"authorization ready on {self.port}" in self.log_text()

    def set(self, **state: Any) -> dict[str, Any]:
        """Change what it answers (see `server.mjs`); what is not named stays. Returns all of it, and what was asked."""
        found: dict[str, Any] = json.loads(self._post("/control", json.dumps(state).encode()))
        return found

    def holds(self, token: str) -> dict[str, Any] | None:
        """What the token is good for (RFC 7662); None if it holds no more, or is a JWT, which is not asked about there."""
        try:
            said: dict[str, Any] = json.loads(self._asked_about("/token/introspection", token))
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return None
        return said if said.get("active") else None

    def revoke(self, token: str) -> None:
        """RFC 7009."""
        self._asked_about("/token/revocation", token)

    def _asked_about(self, path: str, token: str) -> bytes:
        form = {"token": token, "client_id": GUARD[0], "client_secret": GUARD[1]}
        return self._post(path, urllib.parse.urlencode(form).encode())

    def _post(self, path: str, body: bytes) -> bytes:
        with self._direct.open(urllib.request.Request(self.url + path, data=body, method="POST"), timeout=30) as answer:
            return bytes(answer.read())
