"""What a token endpoint's answer means: a token, an outage, or a refusal that names the setting (RFC 6749 5).

Only words of the standards are repeated. `error_description` is a server's free text, and may repeat what it was sent.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.auth.discovery import BUSY
from syncd.auth.exchange import Answer
from syncd.auth.place import Place
from syncd.errors import SyncdError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1; anything else would not survive in a header."""
_AWAY = frozenset({"server_error", "temporarily_unavailable", "slow_down"})
_LONGEST = 400
"""Characters of an audience that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token. Nothing but `value` must be kept secret."""

    value: str = field(repr=False)
    lifetime: float = math.inf
    """Seconds from when it was asked for; infinite where the server does not say."""
    granted: tuple[str, ...] | None = None
    """The scopes; None where the server does not say, which means those asked for (RFC 6749 5.1)."""

    @property
    def audience(self) -> str:
        """Whom it is for, where it is a JWT that says so (RFC 9068); nothing is verified, it is for people to read."""
        parts = self.value.split(".")
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==")) if len(parts) == 3 else {}
        except (binascii.Error, ValueError, RecursionError):
            return ""
        said = claims.get("aud") if isinstance(claims, dict) else None
        text = ", ".join(map(str, said)) if isinstance(said, list) else str(said or "")
        return text[:_LONGEST] if text.isprintable() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a refusal may say: where and as whom it was asked, and which settings decide that."""

    place: Place
    endpoint: str
    scope: str = ""
    client_advice: str = ""


def token_of(answer: Answer, *, told: Told) -> Token:
    """The token. Raises `Transient` for an outage, else what the operator must settle."""
    if answer.status != 200:
        raise _refusal(answer, told)
    body = answer.body or {}
    value = body.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise _not_an_endpoint(told, "its answer holds no token")
    if str(body.get("token_type", "bearer")).lower() != "bearer":
        raise _not_an_endpoint(told, "its token is of another type than Bearer")
    scope = body.get("scope")
    granted = tuple(scope.split()) if isinstance(scope, str) else None
    return Token(value=value, lifetime=_lifetime(body), granted=granted)


def error_code(answer: Answer) -> str:
    """The `error` of RFC 6749 5.2, empty where there is none."""
    code = (answer.body or {}).get("error")
    return code if isinstance(code, str) else ""


def is_outage(answer: Answer) -> bool:
    """Whether to wait helps."""
    return answer.status >= 500 or answer.status in BUSY or error_code(answer) in _AWAY


def _refusal(answer: Answer, told: Told) -> SyncdError:
    place, code, status = told.place, error_code(answer), answer.status
    if is_outage(answer):
        after = answer.headers.get("Retry-After", "").strip()
        return place.outage(
            f"The authorization server of {place.whose} is in trouble ({told.endpoint}: HTTP {status})",
            retry_after=float(after) if after.isdecimal() else None,
        )
    advice = {
        "invalid_client": told.client_advice,
        "invalid_scope": f"asked for {told.scope or 'no scope'}: have it allowed there, or set {place.setting('SCOPE')}",
        "unauthorized_client": f"{place.setting('CLIENT_ID')} may not use client credentials: have it allowed there",
        "invalid_target": f"check {place.setting('AUDIENCE')}",
        "access_denied": f"asked for {told.scope or 'no scope'}: have it allowed there",
        "unsupported_grant_type": f"it gives no tokens for client credentials: is {place.setting('TOKEN_URL')} right?",
        "invalid_grant": told.client_advice,
        "invalid_request": f"check {place.setting('TOKEN_URL')}, {place.setting('CLIENT_AUTH')} and "
        f"{place.setting('SCOPE')}",
    }.get(code)
    if advice is None and status == 401:
        code, advice = "HTTP 401", told.client_advice
    if advice is None:
        return _not_an_endpoint(told, f"it answers HTTP {status}")
    message = f"The authorization server of {place.whose} refuses us ({told.endpoint}: {code}): {advice}"
    return place.refusal(message, status=status)


def _not_an_endpoint(told: Told, why: str) -> SyncdError:
    setting = told.place.setting("TOKEN_URL")
    return told.place.refusal(f"{told.endpoint} is no token endpoint, {why}: check {setting}")


def _lifetime(body: Mapping[str, Any]) -> float:
    """`expires_in`, which some servers write as a text; what is no lifetime counts as not said."""
    try:
        seconds = float(body.get("expires_in", "nan"))
    except (TypeError, ValueError):
        return math.inf
    return seconds if seconds > 0 else math.inf
