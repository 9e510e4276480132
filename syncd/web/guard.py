"""Who may ask: Host and Origin, the token, and what every answer says to a browser (RULES S3).

DNS rebinding is the danger: a page that somebody opens on this machine can make a name of its own point to 127.0.0.1
and read what is served there. The browser then still sends that name as Host, so only hosts that are ours are answered.
Where other machines may ask, our names are not known here; the token protects what is more than a health check. A page
of another origin is refused in any case: what a browser says of that, it does not let a page forge.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.settings.values import is_loopback

ANY_HOST = "*"

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def allowed_hosts(host: str) -> tuple[str, ...]:
    """The Host names to answer to when listening on `host`."""
    return tuple(dict.fromkeys((*LOOPBACK_HOSTS, host.lower()))) if is_loopback(host) else (ANY_HOST,)


def has_token(headers: Headers, *, token: str) -> bool:
    """Whether the request carries the token; compared in constant time. Without a token everybody may ask."""
    if not token:
        return True
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(credential.strip().encode(), token.encode())


class Guard:
    """Answers only to our hosts and to no page of others, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        if not self._is_ours(headers.getlist("host")):
            refusal = JSONResponse({"error": "this host name is not served here"}, status_code=421)
            await refusal(scope, receive, send_guarded)
        elif _is_from_elsewhere(headers):
            refusal = JSONResponse({"error": "a page of another origin may not ask"}, status_code=403)
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    def _is_ours(self, given: list[str]) -> bool:
        if len(given) != 1:
            return False
        try:
            parts = urlsplit(f"//{given[0]}")
            named, _port = parts.hostname, parts.port
        except ValueError:
            return False
        if not named or "@" in given[0] or parts.path:
            return False
        return ANY_HOST in self._hosts or named in self._hosts


def _is_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page asks (Fetch Standard, `Origin`; Fetch Metadata, `Sec-Fetch-Site`).
    Programs say nothing of that, and a link that somebody follows is no page that reads the answer."""
    origins = headers.getlist("origin")
    if origins and [urlsplit(one).netloc.lower() for one in origins] != [headers.get("host", "").lower()]:
        return True
    follows_a_link = headers.get("sec-fetch-mode") == "navigate"
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not follows_a_link
