"""How syncd proves who it is by a key pair: a signed assertion (RFC 7523, SMART client-confidential-asymmetric).

An assertion serves once and ends soon. It says nothing of when it was made (`iat`, `nbf`): SMART does not ask for it, and a
server whose clock is a second behind would refuse it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from syncd.auth.client import Proof
from syncd.auth.keys import BadKeys, SigningKey, chosen_key, read_keys
from syncd.auth.place import Place

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

LIFETIME = 150.0
"""Seconds until an assertion ends: half of the five minutes that SMART allows, so that the clocks may differ by as much in
either direction."""


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
