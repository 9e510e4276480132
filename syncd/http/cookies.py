"""Cookies are kept, because a load balancer may know its server by one (RFC 6265); few, short and plain ones."""

from __future__ import annotations

from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from io import BytesIO
from typing import cast
from urllib.request import Request as UrlRequest
from urllib.response import addinfo

from syncd.http.messages import Headers

MOST_COOKIES, LONGEST_COOKIE = 8, 1024


class CookieRules(DefaultCookiePolicy):
    """Whatever is kept goes into every later request, and one odd cookie must not spoil them all."""

    def __init__(self) -> None:
        super().__init__(strict_ns_domain=self.DomainStrict)
        self._names: set[str] = set()

    def set_ok(self, cookie: Cookie, request: UrlRequest) -> bool:
        text = f"{cookie.name}{cookie.value}{cookie.path}{cookie.domain}"
        if not text.isascii() or not text.isprintable() or len(text) > LONGEST_COOKIE or not super().set_ok(cookie, request):
            return False
        if len(self._names) < MOST_COOKIES:
            self._names.add(cookie.name)
        return cookie.name in self._names


class Cookies:
    """Those of one client; from any thread."""

    def __init__(self) -> None:
        self._jar = CookieJar(policy=CookieRules())

    def keep(self, url: str, headers: Headers) -> None:
        """What an answer to a request of this address gives."""
        said = Message()
        for cookie in headers.cookies:
            said["Set-Cookie"] = cookie
        self._jar.extract_cookies(cast(HTTPResponse, addinfo(BytesIO(), said)), UrlRequest(url))  # noqa: S310

    def header(self, url: str) -> str:
        """What a request to this address carries; empty: nothing."""
        request = UrlRequest(url)  # noqa: S310
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie", "") or ""
