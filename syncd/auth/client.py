"""How syncd proves to a token endpoint who it is: by a secret (RFC 6749 2.3.1), or by a signed assertion (RFC 7523).

An assertion serves once and ends soon. It says nothing of when it was made (`iat`, `nbf`): SMART does not ask for it, and a
server whose clock is a second behind would refuse it.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus

from syncd.auth.keys import BadKeys, SigningKey, chosen_key, read_keys
from syncd.auth.place import Place

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

LIFETIME = 150.0
"""Seconds until an assertion ends: half of the five minutes that SMART allows, so that the clocks may differ by as much in
either direction."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClient:
    """A client with a key pair (SMART client-confidential-asymmetric). `keys` gives their file's content, at each proof."""

    client_id: str
    keys: Callable[[], str] = field(repr=False)
    place: Place
    kid: str = ""
    audience: str = ""
    """Empty: the token endpoint, as SMART says."""
    by_clock: bool = True

    def prove(self, endpoint: str, *, methods: tuple[str, ...], now: float) -> Proof:
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience or endpoint,
            "exp": int(now + LIFETIME),
            "jti": str(uuid.uuid4()),
        }
        return Proof(form={"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.key.sign(claims)})

    @property
    def key(self) -> SigningKey:
        """The key that signs now. Raises what the operator must mend."""
        try:
            return chosen_key(read_keys(self.keys()), kid=self.kid)
        except BadKeys as bad:
            raise self.place.refusal(f"{self.place.setting('PRIVATE_KEY')}: {bad}") from None

    @property
    def advice(self) -> str:
        setting = self.place.setting
        return (
            f"check {setting('CLIENT_ID')}, and that the key {self.key.kid} of {setting('PRIVATE_KEY')} is registered there "
            f"(`syncd keys show`); the assertion was for {self.audience or 'the token endpoint'}: a server may want another "
            f"{setting('AUDIENCE')}"
        )
