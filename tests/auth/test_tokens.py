"""One token for all workers: how it is asked for, when it is renewed, and whose trouble it is when there is none."""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from joserfc import jwt
from joserfc.jwk import KeySet

from syncd.auth.client import SecretClient
from syncd.auth.exchange import Answer
from syncd.auth.key_client import ASSERTION_TYPE, KeyClient
from syncd.auth.keys import new_key, private_set, public_set
from syncd.auth.place import Place
from syncd.auth.scopes import Need
from syncd.auth.tokens import Grant, Tokens
from syncd.errors import SyncdError, TargetPaused, Transient, Unreachable, Unsuitable
from tests.auth.giver import BASE, CONFIGURATION, ENDPOINT, Giver, dated, error_answer, token_answer
from tests.planted import CLIENT_SECRET

NOW = 1_790_000_000.0
OLD, NEW = new_key(), new_key("RS384")
NEEDS = (Need(resource_type="ImagingStudy", rights="crus"), Need(resource_type="Patient", rights="rs"))
FHIR = Place()
ARCHIVE = Place(server="main", prefix="SYNCD_ARCHIVES__MAIN__AUTH__")


class Time:
    """Both clocks; `wall` may be set without the other."""

    def __init__(self) -> None:
        self.wall = NOW
        self.monotonic = 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def made(time: Time) -> Callable[..., Tokens]:
    def make(giver: Any, **how: Any) -> Tokens:
        return Tokens(_smart(**how), ask=giver, clock=lambda: time.wall, monotonic=lambda: time.monotonic)

    return make


def _smart(**how: Any) -> Grant:
    place, kid = how.pop("place", FHIR), how.pop("kid", "")
    key_file = private_set([OLD, NEW] if kid else [OLD])
    client = how.pop("client", None) or KeyClient(client_id="syncd", keys=lambda: key_file, place=place, kid=kid)
    return Grant(**{"place": place, "client": client, "base_url": BASE, "needs": NEEDS, **how})


def _with_secret(place: Place = FHIR, method: str = "") -> SecretClient:
    return SecretClient(client_id="syncd & co", secret=lambda: CLIENT_SECRET, place=place, method=method)


def test_a_smart_request_is_what_backend_services_says(made: Callable[..., Tokens]) -> None:
    """SMART 2.2: endpoint from the smart-configuration, system scopes, an assertion for the token endpoint."""
    giver = Giver()
    fetched = made(giver).current()
    assert fetched.token.value == "token-1"
    assert giver.asked == [("GET", CONFIGURATION), ("POST", ENDPOINT)]
    (form,) = giver.forms
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "scope": "system/ImagingStudy.crus system/Patient.rs",
        "client_assertion_type": ASSERTION_TYPE,
    }
    signed = jwt.decode(assertion, KeySet.import_key_set(public_set([OLD])), algorithms=["ES384"])
    assert signed.header == {"typ": "JWT", "alg": "ES384", "kid": OLD.kid}
    claims = signed.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("syncd", "syncd", ENDPOINT)
    assert 0 < claims["exp"] - NOW <= 300
    assert claims.keys() == {"iss", "sub", "aud", "exp", "jti"}


def test_an_assertion_serves_once(made: Callable[..., Tokens], time: Time) -> None:
    """RFC 7523 3: a `jti` is used once; the smart-configuration is read once."""
    giver = Giver()
    tokens = made(giver)
    for _ in range(2):
        tokens.forget(tokens.current().token.value)
    used = {_claims(form, OLD)["jti"] for form in giver.forms}
    assert len(used) == 2
    assert giver.asked.count(("GET", CONFIGURATION)) == 1


@pytest.mark.parametrize(("key", "algorithm"), [(OLD, "ES384"), (NEW, "RS384")])
def test_the_key_of_the_setting_signs(made: Callable[..., Tokens], key: Any, algorithm: str) -> None:
    giver = Giver()
    made(giver, kid=key.kid).current()
    public = KeySet.import_key_set(public_set([key]))
    signed = jwt.decode(giver.forms[0]["client_assertion"], public, algorithms=[algorithm])
    assert signed.header["kid"] == key.kid


def test_another_audience_may_be_set(made: Callable[..., Tokens]) -> None:
    giver = Giver()
    client = KeyClient(client_id="syncd", keys=lambda: private_set([OLD]), place=FHIR, audience="https://issuer.example")
    made(giver, client=client).current()
    assert _claims(giver.forms[0], OLD)["aud"] == "https://issuer.example"


@pytest.mark.parametrize(
    ("methods", "method", "in_header"),
    [
        (None, "", True),
        (["client_secret_post"], "", False),
        (["client_secret_post", "client_secret_basic"], "", True),
        (["client_secret_basic"], "client_secret_post", False),
    ],
)
def test_a_secret_goes_where_the_server_takes_it(
    made: Callable[..., Tokens], methods: list[str] | None, method: str, in_header: bool
) -> None:
    """RFC 6749 2.3.1: in the header, encoded as a form, unless the server says or the site sets otherwise."""
    giver = Giver()
    if methods:
        giver.configuration["token_endpoint_auth_methods_supported"] = methods
    made(giver, client=_with_secret(method=method)).current()
    form, headers = giver.forms[0], giver.headers[0]
    if in_header:
        pair = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
        assert pair == "syncd+%26+co:a+secret%3A+with+spaces+%26+signs"
        assert not {"client_id", "client_secret"} & form.keys()
    else:
        assert "Authorization" not in headers
        assert (form["client_id"], form["client_secret"]) == ("syncd & co", CLIENT_SECRET)


def test_an_archive_is_asked_for_nothing_but_what_is_set(made: Callable[..., Tokens]) -> None:
    """No discovery, no scope of its own; an audience as the two kinds of servers want it."""
    giver = Giver()
    grant = {"place": ARCHIVE, "base_url": "", "endpoint": ENDPOINT, "needs": ()}
    made(giver, client=_with_secret(ARCHIVE), **grant).current()
    made(giver, client=_with_secret(ARCHIVE), **grant, scope="read write", audience="https://pacs.example.org").current()
    assert giver.asked == [("POST", ENDPOINT)] * 2
    assert giver.forms == [
        {"grant_type": "client_credentials"},
        {
            "grant_type": "client_credentials",
            "scope": "read write",
            "audience": "https://pacs.example.org",
            "resource": "https://pacs.example.org",
        },
    ]


def test_scopes_are_written_as_the_server_knows_them(made: Callable[..., Tokens]) -> None:
    giver = Giver(configuration={"token_endpoint": "/auth/token", "capabilities": ["permission-v1"]})
    fetched = made(giver).current()
    assert giver.forms[0]["scope"] == "system/ImagingStudy.* system/Patient.read"
    assert fetched.endpoint == "https://fhir.example.org/auth/token"


def test_an_endpoint_that_is_set_needs_no_configuration(made: Callable[..., Tokens]) -> None:
    """It would only tell in which words scopes are written, and is asked for that where they are ours."""
    giver = Giver(configuration=Answer(status=404))
    made(giver, endpoint="https://set.example.org/token").current()
    assert giver.asked[-1] == ("POST", "https://set.example.org/token")
    giver = Giver()
    made(giver, endpoint="https://set.example.org/token", scope="system/*.cruds").current()
    assert giver.asked == [("POST", "https://set.example.org/token")]


@pytest.mark.parametrize(
    ("configuration", "kind", "words"),
    [
        (Answer(status=404), TargetPaused, "names no token endpoint"),
        (Answer(status=200, body=None), TargetPaused, "SYNCD_FHIR__AUTH__TOKEN_URL"),
        ({"token_endpoint": 7}, TargetPaused, "names no token endpoint"),
        ({"token_endpoint": "http://login.example.org/token"}, TargetPaused, "without https"),
        ({"token_endpoint": "file:///etc/passwd"}, TargetPaused, "without https"),
        (Answer(status=503), Unreachable, "HTTP 503"),
        (Answer(status=429), Unreachable, "HTTP 429"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(
    made: Callable[..., Tokens], configuration: Any, kind: type[SyncdError], words: str
) -> None:
    giver = Giver(configuration=configuration)
    with pytest.raises(kind, match=words):
        made(giver).current()
    assert giver.forms == []


def test_a_token_is_fetched_once_and_renewed_before_it_ends(made: Callable[..., Tokens], time: Time) -> None:
    giver = Giver(answers=[token_answer("a"), token_answer("b")])
    tokens = made(giver)
    seen = []
    for _ in range(30):
        seen.append(tokens.current().token.value)
        time.passes(10)
    assert seen == ["a"] * 24 + ["b"] * 6


def test_a_short_token_is_renewed_in_its_last_fifth(made: Callable[..., Tokens], time: Time) -> None:
    giver = Giver(answers=[token_answer("a", expires_in="10"), token_answer("b")])
    tokens = made(giver)
    seen = []
    for _ in range(10):
        seen.append(tokens.current().token.value)
        time.passes(1)
    assert seen == ["a"] * 8 + ["b"] * 2


@pytest.mark.parametrize("lifetime", [None, 0, -1, "soon", [], math.nan])
def test_a_token_of_no_known_life_serves_until_it_is_refused(made: Callable[..., Tokens], time: Time, lifetime: Any) -> None:
    """RFC 6749 5.1: `expires_in` is recommended only."""
    giver = Giver(answers=[token_answer("a", expires_in=lifetime), token_answer("b")])
    tokens = made(giver)
    tokens.current()
    time.passes(1e6)
    assert tokens.current().token.value == "a"
    tokens.forget("a")
    assert tokens.current().token.value == "b"


def test_an_outage_is_not_noticed_while_the_token_holds(made: Callable[..., Tokens], time: Time) -> None:
    def away() -> Answer:
        raise FHIR.outage("away")

    giver = Giver(answers=[token_answer("a"), away])
    tokens = made(giver)
    tokens.current()
    time.passes(250)
    assert [tokens.current().token.value for _ in range(3)] == ["a"] * 3
    assert len(giver.forms) == 2
    time.passes(49)
    assert tokens.current().token.value == "a"
    time.passes(2)
    with pytest.raises(Unreachable):
        tokens.current()


def test_many_threads_fetch_one_token(made: Callable[..., Tokens]) -> None:
    """Single flight."""
    begun, go = threading.Event(), threading.Event()

    def slowly() -> Answer:
        begun.set()
        assert go.wait(10)
        return token_answer("shared")

    giver = Giver(answers=[slowly])
    tokens = made(giver)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(tokens.current().token.value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert seen == ["shared"] * 8
    assert len(giver.forms) == 1


def test_a_failure_is_everybodys_for_a_second(made: Callable[..., Tokens], time: Time) -> None:
    """Else each worker would wait out the timeout of a dead server in turn."""

    def away() -> Answer:
        raise FHIR.outage("away")

    giver = Giver(answers=[away])
    tokens = made(giver)
    for _ in range(4):
        with pytest.raises(Unreachable) as raised:
            tokens.current()
        assert (raised.value.server, str(raised.value)) == ("fhir", "away")
    assert len(giver.forms) == 1
    time.passes(1.1)
    with pytest.raises(Unreachable):
        tokens.current()
    assert len(giver.forms) == 2


def test_the_token_of_another_thread_is_not_forgotten(made: Callable[..., Tokens]) -> None:
    """Four workers are told at once that one token is revoked: one new token is fetched."""
    giver = Giver(answers=[token_answer("a"), token_answer("b"), token_answer("c")])
    tokens = made(giver)
    tokens.current()
    for _ in range(4):
        tokens.forget("a")
        assert tokens.current().token.value == "b"


@pytest.mark.parametrize("ahead", [-3600.0, 400.0, 86400.0])
def test_a_clock_that_differs_is_tolerated_and_told(
    made: Callable[..., Tokens], time: Time, ahead: float, log_output: structlog.testing.LogCapture
) -> None:
    """An assertion that ends by the server's clock before it was sent, or too late, is dated by its `Date`, once more."""

    def judge() -> Answer:
        said = dated(time.wall + ahead)
        ends = _claims(giver.forms[-1], OLD)["exp"] - (time.wall + ahead)
        if not 0 < ends <= 300:
            return error_answer("invalid_client", status=401, headers=said)
        return Answer(status=200, headers=said, body=token_answer().body)

    giver = Giver(answers=[judge])
    tokens = made(giver)
    fetched = tokens.current()
    assert fetched.ahead == pytest.approx(ahead, abs=1)
    assert len(giver.forms) == 2
    tokens.forget(fetched.token.value)
    tokens.current()
    assert len(giver.forms) == 3
    (told,) = log_output.entries
    assert (told["event"], told["seconds_ahead"]) == ("authorization_clock_differs", ahead)


def test_a_date_that_did_not_help_is_not_believed_for_ever(made: Callable[..., Tokens], time: Time) -> None:
    """A gateway's own clock in `Date`, and a key that is registered later: what was refused for the key must not be dated
    wrongly from then on."""

    def judge() -> Answer:
        said = dated(time.wall + 600.0)
        if registered and _claims(giver.forms[-1], OLD)["exp"] - time.wall <= 300:
            return Answer(status=200, headers=said, body=token_answer().body)
        return error_answer("invalid_client", status=401, headers=said)

    giver, registered = Giver(answers=[judge]), False
    tokens = made(giver)
    with pytest.raises(TargetPaused):
        tokens.current()
    registered = True
    time.passes(60.0)
    assert tokens.current().token.value == "token-1"


def test_clocks_that_agree_are_no_reason_to_ask_twice(made: Callable[..., Tokens], time: Time) -> None:
    giver = Giver(answers=[lambda: error_answer("invalid_client", status=401, headers=dated(time.wall + 2))])
    with pytest.raises(TargetPaused):
        made(giver).current()
    assert len(giver.forms) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error_answer("invalid_client", status=401), "check SYNCD_FHIR__AUTH__CLIENT_ID, and that the key"),
        (error_answer("invalid_client"), "syncd keys show"),
        (error_answer("invalid_scope"), "asked for system/ImagingStudy.crus system/Patient.rs"),
        (error_answer("invalid_scope"), "SYNCD_FHIR__AUTH__SCOPE"),
        (error_answer("unauthorized_client"), "SYNCD_FHIR__AUTH__CLIENT_ID may not use client credentials"),
        (error_answer("unsupported_grant_type"), "SYNCD_FHIR__AUTH__TOKEN_URL"),
        (error_answer("invalid_target"), "SYNCD_FHIR__AUTH__AUDIENCE"),
        (error_answer("invalid_request"), "SYNCD_FHIR__AUTH__TOKEN_URL"),
        (error_answer("the free text"), "is no token endpoint, it answers HTTP 400"),
        (Answer(status=401), "HTTP 401"),
        (Answer(status=404), "is no token endpoint"),
        (Answer(status=302), "is no token endpoint"),
        (Answer(status=200), "holds no token"),
        (token_answer("with a blank"), "holds no token"),
        (token_answer("two\r\nlines"), "holds no token"),
        (token_answer(token_type="mac"), "another type than Bearer"),
    ],
)
def test_a_refusal_pauses_and_names_the_setting(made: Callable[..., Tokens], answer: Answer, words: str) -> None:
    """RFC 6749 5.2; a server's free text is not repeated (RULES S1)."""
    with pytest.raises(TargetPaused) as raised:
        made(Giver(answers=[answer])).current()
    assert words in str(raised.value)
    assert "invalid_client" not in str(raised.value) or OLD.kid in str(raised.value)
    assert "free text" not in str(raised.value)


def test_a_refused_secret_names_the_setting_of_its_archive(made: Callable[..., Tokens]) -> None:
    """For an archive the operator must act too, and its own gate closes."""
    giver = Giver(answers=[error_answer("invalid_client", status=401)])
    with pytest.raises(Unsuitable, match="SYNCD_ARCHIVES__MAIN__AUTH__CLIENT_SECRET") as raised:
        made(giver, place=ARCHIVE, client=_with_secret(ARCHIVE)).current()
    assert raised.value.server == "main"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500),
        Answer(status=503, headers={"Retry-After": "7"}),
        Answer(status=429, headers={"Retry-After": "7"}),
        error_answer("temporarily_unavailable", headers={"Retry-After": "7"}),
    ],
)
def test_a_server_in_trouble_is_an_outage_of_the_target(made: Callable[..., Tokens], answer: Answer) -> None:
    """RULES C6: the breaker of the target opens, no study is blamed."""
    with pytest.raises(Transient) as raised:
        made(Giver(answers=[answer])).current()
    assert (raised.value.server, raised.value.retry_after) == ("fhir", 7.0 if answer.headers else None)


def test_a_server_that_moved_is_found_again(made: Callable[..., Tokens], time: Time) -> None:
    giver = Giver(answers=[Answer(status=404), token_answer()])
    tokens = made(giver)
    with pytest.raises(TargetPaused):
        tokens.current()
    giver.configuration = {"token_endpoint": "https://moved.example.org/token"}
    time.passes(2)
    assert tokens.current().endpoint == "https://moved.example.org/token"


def test_what_was_not_granted_is_told_once(made: Callable[..., Tokens], log_output: structlog.testing.LogCapture) -> None:
    giver = Giver(answers=[token_answer(scope="system/ImagingStudy.crus openid")])
    fetched = made(giver).current()
    assert fetched.missing == ("system/Patient.rs",)
    assert [entry["event"] for entry in log_output.entries] == ["scope_not_granted"]


def test_a_server_that_tells_no_scope_granted_what_was_asked(made: Callable[..., Tokens]) -> None:
    """RFC 6749 5.1."""
    assert made(Giver()).current().missing == ()


def test_a_key_file_that_is_replaced_signs_the_next_assertion(time: Time) -> None:
    """Rotation without a restart."""
    content = [private_set([OLD])]
    client = KeyClient(client_id="syncd", keys=lambda: content[0], place=FHIR)
    giver = Giver()
    tokens = Tokens(_smart(client=client), ask=giver)
    tokens.forget(tokens.current().token.value)
    content[0] = private_set([NEW])
    tokens.current()
    assert _claims(giver.forms[1], NEW, "RS384")["iss"] == "syncd"


def test_a_broken_key_file_pauses_and_is_not_repeated() -> None:
    client = KeyClient(client_id="syncd", keys=lambda: "hunter2", place=FHIR)
    giver = Giver()
    with pytest.raises(TargetPaused, match="SYNCD_FHIR__AUTH__PRIVATE_KEY: is neither") as raised:
        Tokens(_smart(client=client), ask=giver).current()
    assert "hunter2" not in str(raised.value)
    assert giver.forms == []


def test_the_audience_of_a_token_is_told_where_it_says_so(made: Callable[..., Tokens]) -> None:
    value = OLD.sign({"aud": ["https://a.example", "https://b.example"]})
    assert made(Giver(answers=[token_answer(value)])).current().token.audience == "https://a.example, https://b.example"
    for opaque in ("abc", "a.b.c", "a.ew.c", OLD.sign({"aud": None})):
        assert made(Giver(answers=[token_answer(opaque)])).current().token.audience == ""


def _claims(form: dict[str, str], key: Any, algorithm: str = "ES384") -> dict[str, Any]:
    keys = KeySet.import_key_set(public_set([key]))
    return dict(jwt.decode(form["client_assertion"], keys, algorithms=[algorithm]).claims)
