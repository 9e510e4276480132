"""Key pairs for SMART Backend Services: a private JWK Set (RFC 7517) or PEM file, and what of it may be shown.

The only door to joserfc. A set may hold two keys while one takes over from the other: the first one signs, unless a `kid`
is asked for. No message and no `repr` holds key material.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ES384, RS384 = "ES384", "RS384"
"""The two that a SMART client must support (client-confidential-asymmetric), and every server one of."""

CURVE = "P-384"
SHORTEST_RSA = 2048
"""Bits (RFC 7518 3.3)."""
RSA_BITS = 3072
"""Of a new key: as strong as is asked for until 2030 and after (NIST SP 800-57)."""


class BadKeys(ValueError):
    """`str` says what is wrong with a key file, without a value of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One private key. `kid` is how the authorization server finds the public one."""

    kid: str
    algorithm: str
    has_name: bool = True
    """Whether the file gives it its `kid`; else that is its thumbprint."""
    _key: Any = field(repr=False)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS of the claims (RFC 7515), its header as SMART wants it: `alg`, `kid`, `typ` JWT."""
        return jwt.encode({"alg": self.algorithm, "kid": self.kid}, dict(claims), self._key, algorithms=[self.algorithm])

    @property
    def public(self) -> dict[str, Any]:
        """The public JWK to be registered."""
        shown = {**self._key.as_dict(private=False), "kid": self.kid}
        return {**shown, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"]}

    @property
    def private(self) -> dict[str, Any]:
        """The private JWK, for the key file and for nothing else."""
        return {**self._key.as_dict(private=True), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def new_key(algorithm: str = ES384) -> SigningKey:
    """A fresh pair; its `kid` is its thumbprint (RFC 7638), so that no two keys of a set share one."""
    while True:
        key: ECKey | RSAKey = ECKey.generate_key(CURVE) if algorithm == ES384 else RSAKey.generate_key(RSA_BITS)
        if not key.thumbprint().startswith("-"):  # a command would take it for an option
            return SigningKey(kid=key.thumbprint(), algorithm=algorithm, _key=key)


def read_keys(text: str) -> tuple[SigningKey, ...]:
    """The private keys of a JWK Set, a JWK or a PEM file, in their order. Raises `BadKeys`."""
    if text.lstrip().startswith("-----BEGIN"):
        return (_signing_key(_from_pem(text), kid=""),)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise BadKeys("is neither a JWK Set nor a PEM file") from None
    listed = parsed.get("keys", [parsed]) if isinstance(parsed, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise BadKeys("holds no key")
    keys = tuple(_from_jwk(one) for one in listed)
    if len({key.kid for key in keys}) < len(keys):
        raise BadKeys("holds two keys of the same kid")
    return keys


def chosen_key(keys: Iterable[SigningKey], *, kid: str = "") -> SigningKey:
    """The key that signs: the one of that `kid`, else the first. Raises `BadKeys`."""
    known = tuple(keys)
    for key in known:
        if not kid or key.kid == kid:
            return key
    if len(known) == 1 and not known[0].has_name:
        return replace(known[0], kid=kid)
    raise BadKeys(f"holds no key of the kid {kid!r}, only {', '.join(key.kid for key in known)}")


def public_set(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """The JWK Set to be registered: public members only."""
    return {"keys": [key.public for key in keys]}


def private_set(keys: Iterable[SigningKey]) -> str:
    """The content of a key file."""
    return json.dumps({"keys": [key.private for key in keys]}, indent=2) + "\n"


def _from_pem(text: str) -> ECKey | RSAKey:
    for read in (ECKey.import_key, RSAKey.import_key):
        with suppress(ValueError, TypeError, JoseError):
            return read(text)
    raise BadKeys("is no PEM file of an unencrypted private key")


def _from_jwk(one: dict[str, Any]) -> SigningKey:
    kind = one.get("kty")
    if kind not in ("EC", "RSA"):
        raise BadKeys("holds a key that is neither RSA nor EC")
    plain = {name: value for name, value in one.items() if name not in ("alg", "use", "key_ops")}
    try:
        key = ECKey.import_key(plain) if kind == "EC" else RSAKey.import_key(plain)
        return _signing_key(key, kid=str(one.get("kid", "")))
    except BadKeys:
        raise
    except (ValueError, TypeError, KeyError, JoseError):
        raise BadKeys("holds a key that cannot be read") from None


def _signing_key(key: ECKey | RSAKey, *, kid: str) -> SigningKey:
    if not key.is_private:
        raise BadKeys("holds a public key, not a private one")
    if isinstance(key, ECKey) and key.curve_name != CURVE:
        raise BadKeys(f"holds an EC key on another curve than {CURVE}, which ES384 needs")
    if isinstance(key, RSAKey) and key.raw_value.key_size < SHORTEST_RSA:
        raise BadKeys(f"holds an RSA key of less than {SHORTEST_RSA} bits")
    algorithm = ES384 if isinstance(key, ECKey) else RS384
    return SigningKey(kid=kid or key.thumbprint(), algorithm=algorithm, has_name=bool(kid), _key=key)
