"""Requests to whoever gives tokens for a server: small, bounded, and without the credentials of that server.

They are made in the middle of another request, by the thread that needs the token, and never outlast its turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from syncd.auth import discovery
from syncd.auth.exchange import Answer
from syncd.auth.place import Place
from syncd.http import deadline
from syncd.http.client import Client, Response
from syncd.http.connection import Connection
from syncd.http.headers import common_headers
from syncd.http.replies import Unreadable
from syncd.publish.http import errors_told, json_of

LARGEST_ANSWER = 1024 * 1024
"""Bytes; a token has a few thousand."""
LONGEST_WAIT = 15.0
"""Seconds for a whole answer, unless the server itself gets less: workers stand still meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GiverConnection(Connection):
    """An authorization server, reached as the server is for which it gives tokens: same authorities, same certificate."""

    place: Place
    timeout: float = LONGEST_WAIT
    discovering: bool = False
    """The server itself is asked, who gives tokens for it: then its own address is to be looked at."""

    @property
    def server(self) -> str:
        return self.place.server

    @property
    def name_told(self) -> str:
        whose = self.place.whose
        return f"{whose[0].upper()}{whose[1:]}" if self.discovering else f"The authorization server of {whose}"

    @property
    def software(self) -> str:
        return "it"

    def setting(self, word: str) -> str:
        if word == "URL" and not self.discovering:
            return self.place.setting("TOKEN_URL")
        return self.place.prefix.removesuffix("AUTH__") + word


class Asking:
    """`syncd.auth.exchange.Asked`; safe for several threads."""

    def __init__(self, connection: GiverConnection) -> None:
        self._at = connection
        # Tokens may come by https although the server itself is asked without TLS.
        tls = replace(connection, url="https:").tls()
        self._client = Client(None, tls=tls, timeout=connection.timeout, limit=LARGEST_ANSWER)

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str]
    ) -> Answer:
        at = replace(self._at, url=url, discovering=url.endswith(discovery.PATH))
        sent, body = {**common_headers(), **headers}, b""
        if form is not None:
            sent["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form).encode()
        until = deadline.of_request(at.timeout)
        with (
            deadline.kept(until),
            errors_told(at, "a request for a token" if method == "POST" else f"{method} {at.address}"),
        ):
            until.check()
            return _answer(self._client.send(method, url, headers=sent, body=body))


def _answer(response: Response) -> Answer:
    try:
        parsed = json_of(response)
    except Unreadable:
        parsed = None
    return Answer(status=response.status, headers=response.headers, body=parsed if isinstance(parsed, dict) else None)
