"""One access token for all workers: fetched once, renewed before it ends, forgotten when it is refused.

The difficulty is the crowd. Whoever needs a token while another fetches one waits for that one, and takes its failure too,
else each of them would wait out the timeout of a dead server in turn. While a token still holds, nobody waits at all: one
of them renews it, and if that fails the old one goes on serving until it ends.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from syncd.auth.answers import Token, Told, is_outage, token_of
from syncd.auth.client import Client
from syncd.auth.discovery import Endpoint, discover
from syncd.auth.exchange import Answer, Asked
from syncd.auth.place import Place
from syncd.auth.scopes import Need, knows_only_v1, missing, system_scopes
from syncd.errors import SyncdError

log = structlog.get_logger(__name__)

RENEW_BEFORE, SHARE_BEFORE = 60.0, 0.2
"""A token is renewed so many seconds before its end, or in the last fifth of its life, whichever is shorter."""

FAILURE_HOLDS = 1.0
"""Seconds for which a failure to fetch a token is everybody's: as the breaker's first pause."""

SKEW = 5.0
"""Seconds by which clocks may differ before it matters: servers tell whole seconds, and an answer takes its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What is asked, of whom, and as whom."""

    place: Place
    client: Client
    base_url: str = ""
    """The FHIR base whose smart-configuration names the token endpoint, where `endpoint` does not."""
    endpoint: str = ""
    scope: str = ""
    """Asked for as it stands; empty: what `needs` amount to."""
    needs: tuple[Need, ...] = ()
    audience: str = ""
    """For whom the token shall be, where the server must be told (RFC 8707, and `audience` as several servers have it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A token, and what there is to tell about it; times are seconds."""

    token: Token
    endpoint: str
    asked: tuple[str, ...]
    ahead: float | None
    """By how much the authorization server's clock is ahead of ours; None if it does not tell."""
    ends: float
    renew: float
    """Both by the monotonic clock."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What was asked for and not granted."""
        return () if self.token.granted is None else missing(self.asked, self.token.granted)


class Tokens:
    """The tokens of one grant; safe to be asked by several threads."""

    def __init__(
        self,
        grant: Grant,
        *,
        ask: Asked,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grant = grant
        self._ask = ask
        self._clock = clock
        self._monotonic = monotonic
        self._flight = threading.Lock()
        self._current: Fetched | None = None
        self._failure: SyncdError | None = None
        self._failed_at = -math.inf
        self._endpoint: Endpoint | None = None
        self._ahead = 0.0
        """By how much assertions are dated ahead of our clock: what the server's `Date` demanded when that helped."""
        self._told: tuple[tuple[str, ...], bool] = ((), False)

    def current(self) -> Fetched:
        """A token that holds now. Raises `Transient` (of the target) or what the operator must settle."""
        current = self._current
        now = self._monotonic()
        if current is not None and now < current.renew:
            return current
        if current is not None and now < current.ends:
            return self._renewed(current)
        with self._flight:
            current = self._current
            if current is not None and self._monotonic() < current.ends:
                return current
            if self._failure is not None and self._monotonic() - self._failed_at < FAILURE_HOLDS:
                raise copy.copy(self._failure) from self._failure
            return self._fetch()

    def forget(self, value: str) -> None:
        """The token of this value was refused: the next question fetches another, unless somebody did already."""
        with self._flight:
            if self._current is not None and self._current.token.value == value:
                self._current = None

    @property
    def last(self) -> Fetched | None:
        """The token that was fetched last and not refused."""
        return self._current

    def _renewed(self, current: Fetched) -> Fetched:
        """A new token, fetched by one thread; the old one for the others, and where there is none to be had."""
        if self._monotonic() - self._failed_at < FAILURE_HOLDS or not self._flight.acquire(blocking=False):
            return current
        try:
            return self._fetch() if self._current is current else self._current or current
        except SyncdError as error:
            log.warning("token_not_renewed", reason=str(error), still_holds=round(current.ends - self._monotonic()))
            return current
        finally:
            self._flight.release()

    def _fetch(self) -> Fetched:
        try:
            self._current = self._fetch_token()
        except SyncdError as error:
            self._failure, self._failed_at = error, self._monotonic()
            self._endpoint = None  # whoever moved it says so in the smart-configuration
            raise
        self._failure = None
        return self._current

    def _fetch_token(self) -> Fetched:
        endpoint = self._endpoint = self._endpoint or self._found_endpoint()
        asked = self._asked(endpoint)
        began = self._monotonic()
        answer, ahead = self._ask_for_token(endpoint, asked, by=self._ahead)
        if ahead is not None and answer.status != 200 and not is_outage(answer) and self._is_dated_wrongly(ahead):
            by = ahead
            answer, ahead = self._ask_for_token(endpoint, asked, by=by)
            self._ahead = by if answer.status == 200 else self._ahead
        told = Told(place=self._grant.place, endpoint=endpoint.url, scope=" ".join(asked), client_advice=self._advice(ahead))
        token = token_of(answer, told=told)
        fetched = Fetched(
            token=token,
            endpoint=endpoint.url,
            asked=asked,
            ahead=ahead,
            ends=began + token.lifetime,
            renew=began + token.lifetime - min(RENEW_BEFORE, token.lifetime * SHARE_BEFORE)
            if math.isfinite(token.lifetime)
            else math.inf,
        )
        self._tell(fetched)
        return fetched

    def _found_endpoint(self) -> Endpoint:
        grant = self._grant
        if grant.endpoint and (grant.scope or not grant.needs or not grant.base_url):
            return Endpoint(url=grant.endpoint)
        try:
            found = discover(grant.base_url, ask=self._ask, place=grant.place)
        except SyncdError:
            if grant.endpoint:  # it would only tell in which words scopes are written
                return Endpoint(url=grant.endpoint)
            raise
        return Endpoint(url=grant.endpoint or found.url, configuration=found.configuration)

    def _asked(self, endpoint: Endpoint) -> tuple[str, ...]:
        if self._grant.scope:
            return tuple(self._grant.scope.split())
        return system_scopes(self._grant.needs, first_version=knows_only_v1(endpoint.configuration))

    def _ask_for_token(self, endpoint: Endpoint, asked: tuple[str, ...], *, by: float) -> tuple[Answer, float | None]:
        """The answer, and by how much its clock is ahead of ours. `by` is how much an assertion is dated ahead."""
        grant = self._grant
        proof = grant.client.prove(endpoint.url, methods=endpoint.methods, now=self._clock() + by)
        form = {"grant_type": "client_credentials"}
        if asked:
            form["scope"] = " ".join(asked)
        if grant.audience:
            form["audience"] = grant.audience
            if "://" in grant.audience:
                form["resource"] = grant.audience
        headers = {"Accept": "application/json", **proof.headers}
        began = self._clock()
        answer = self._ask("POST", endpoint.url, form={**form, **proof.form}, headers=headers)
        return answer, None if answer.date is None else answer.date - (began + self._clock()) / 2

    def _is_dated_wrongly(self, ahead: float) -> bool:
        """Whether the assertion was dated by another clock than the server's; that one is believed if it helps."""
        return self._grant.client.by_clock and abs(ahead - self._ahead) > SKEW

    def _advice(self, ahead: float | None) -> str:
        advice = self._grant.client.advice
        if ahead is not None and abs(ahead) > SKEW:
            side = "ahead of" if ahead > 0 else "behind"
            advice += f"; its clock is {abs(ahead):.0f} s {side} this machine's"
        return advice

    def _tell(self, fetched: Fetched) -> None:
        """What the operator may want to change, once, not with each token."""
        differs = fetched.ahead is not None and abs(fetched.ahead) > SKEW
        news = (fetched.missing, differs)
        if news == self._told:
            return
        self._told = news
        if fetched.missing:
            log.warning("scope_not_granted", missing=" ".join(fetched.missing))
        if differs:
            log.warning("authorization_clock_differs", seconds_ahead=round(fetched.ahead or 0.0))
