"""How syncd proves to a token endpoint who it is: what all ways have in common, and the one by a secret (RFC 6749 2.3.1)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus

from syncd.auth.place import Place

BASIC, POST = "client_secret_basic", "client_secret_post"
"""The words of `token_endpoint_auth_methods_supported`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is added to a request for a token; all of it is secret."""

    form: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Client(Protocol):
    """One way to prove it."""

    @property
    def by_clock(self) -> bool:
        """Whether the proof names a time, so that another clock may refuse it."""
        ...

    def prove(self, endpoint: str, *, methods: tuple[str, ...], now: float) -> Proof:
        """The proof for this token endpoint, which takes `methods` (empty: it does not say); `now` by its clock."""
        ...

    @property
    def advice(self) -> str:
        """What to look at where it is refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretClient:
    """A client with a secret. `secret` is asked at each proof: a file may have changed."""

    client_id: str
    secret: Callable[[], str] = field(repr=False)
    place: Place
    method: str = ""
    """`BASIC` or `POST`; empty: what the server takes, `BASIC` where it does not say."""
    by_clock: bool = False

    def prove(self, endpoint: str, *, methods: tuple[str, ...], now: float) -> Proof:
        method = self.method or (POST if POST in methods and BASIC not in methods else BASIC)
        if method == POST:
            return Proof(form={"client_id": self.client_id, "client_secret": self.secret()})
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret())}"  # RFC 6749 2.3.1 and its appendix B
        return Proof(headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})

    @property
    def advice(self) -> str:
        setting = self.place.setting
        return f"check {setting('CLIENT_ID')} and {setting('CLIENT_SECRET')} (sent as {setting('CLIENT_AUTH')} says)"
