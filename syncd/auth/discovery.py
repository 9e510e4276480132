"""Where tokens are given, as a FHIR server says in `.well-known/smart-configuration` (SMART 2.2, Conformance).

The address comes from the network and a secret goes there, so a server that is reached by https may not send us to http.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from syncd.auth.exchange import Asked
from syncd.auth.place import Place

PATH = ".well-known/smart-configuration"
BUSY = frozenset({408, 425, 429})
"""Answers below 500 that ask for patience (RULES C6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A token endpoint, and what its server says of itself."""

    url: str
    configuration: Mapping[str, object] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways in which clients may prove who they are; empty where it does not say."""
        said = self.configuration.get("token_endpoint_auth_methods_supported")
        return tuple(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()


def discover(base_url: str, *, ask: Asked, place: Place) -> Endpoint:
    """The token endpoint of the FHIR server at `base_url`. Raises an outage, or what the operator must settle."""
    address = f"{base_url.rstrip('/')}/{PATH}"
    answer = ask("GET", address, headers={"Accept": "application/json"})
    setting = place.setting("TOKEN_URL")
    if answer.status >= 500 or answer.status in BUSY:
        raise place.outage(f"{address} is answered HTTP {answer.status}, so nobody knows where tokens are given")
    said = (answer.body or {}).get("token_endpoint")
    if answer.status != 200 or not isinstance(said, str) or not said:
        raise place.refusal(f"{address} names no token endpoint (HTTP {answer.status}): set {setting}", status=answer.status)
    url = urljoin(base_url.rstrip("/") + "/", said)
    if urlsplit(url).scheme not in ("https", urlsplit(base_url).scheme) or not urlsplit(url).hostname:
        raise place.refusal(f"{address} names a token endpoint without https: set {setting} if that is meant")
    return Endpoint(url=url, configuration=answer.body or {})
