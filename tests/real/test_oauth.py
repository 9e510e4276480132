"""SMART Backend Services and OAuth 2 on servers that are not ours: oidc-provider, and a TLS proxy before HAPI that asks it
about every token.

The set-up is the one that docs/operation.md shows, and its commands are what is run here: `syncd keys new` makes the key,
what `syncd keys show` prints is registered. Nothing that was secret in this file may stand in anything that syncd wrote
(RULES S1).
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.native.servers import basic_authorization
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.auth.client import SecretClient
from syncd.auth.credentials import Granted
from syncd.auth.key_client import KeyClient
from syncd.auth.keys import new_key, private_set, read_keys
from syncd.auth.place import Place
from syncd.auth.scopes import system_scopes
from syncd.auth.tokens import Grant, Tokens
from syncd.cli.app import app
from syncd.cli.scopes import needs
from syncd.cli.wiring import policy
from syncd.errors import SyncdError, TargetPaused, Transient, Unreachable, Unsuitable
from syncd.model.ids import ArchiveName
from syncd.publish.asking import Asking, GiverConnection
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.settings import load
from tests.authorization import AUDIENCE, Authorization, Known, is_installed
from tests.authorization.guarded import GuardedArchive, GuardedServer
from tests.authorization.papers import Papers, issue
from tests.docs import pages
from tests.planted import OAUTH_SECRET
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer, wait_until
from tests.settings.given import ENOUGH

SECRET = OAUTH_SECRET
SCOPES = system_scopes(needs(load(environ=ENOUGH), policy(load(environ=ENOUGH))))
SENT = 3
PLACE = Place()


@dataclass(kw_only=True)
class Site:
    """What the operator has set up, and what nobody may ever read in syncd's words."""

    giver: Authorization
    papers: Papers
    key_file: Path
    planted: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def tokens(self, client: Any = None, *, timeout: float = 15.0, **clock: Any) -> Tokens:
        """The client of syncd itself, within this process."""
        ask = Asking(GiverConnection(url=self.giver.url, place=PLACE, ca_file=str(self.papers.authority), timeout=timeout))
        chosen = client or self.client()
        grant = Grant(place=PLACE, client=chosen, endpoint=self.giver.endpoint, scope=" ".join(SCOPES))
        return Tokens(grant, ask=ask, **clock)

    def client(self, **how: Any) -> KeyClient:
        return KeyClient(**{"client_id": "syncd", "keys": self.key_file.read_text, "place": PLACE, **how})

    def heard(self, error: SyncdError) -> str:
        self.said += [str(error), repr(error), repr(error.__cause__)]
        return str(error)


def _shown(section: str) -> list[list[str]]:
    """The lines of each block of commands in a section of docs/operation.md."""
    page = pages.text_of(pages.ROOT / "docs" / "operation.md")
    text = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


MAKE, SET, EXCHANGE = _shown("Tokens: OAuth 2 and SMART Backend Services")
PLACES = "/etc/syncd/", "https://fhir.example.org/r4", "key-of-2026"
"""What stands in the examples for what a site has."""


def _typed(lines: list[str], *instead: str) -> list[list[str]]:
    """The commands of `syncd` in these lines, as their words, for this site."""
    text = "\n".join(lines)
    for shown, meant in zip(PLACES, instead, strict=False):
        text = text.replace(shown, meant)
    return [line.split()[1:] for line in text.splitlines() if line.startswith("syncd ")]


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An authorization server at which syncd's public keys are registered."""
    if not is_installed() or shutil.which("node") is None:
        pytest.skip("oidc-provider is not installed here: run `make test` (it installs Node and the packages)")
    folder = tmp_path_factory.mktemp("oauth")
    key_file, papers = folder / "keys.json", issue(folder / "papers")
    make, show = _typed(MAKE, f"{folder}/")
    for words in (make, [*make, "--algorithm", "RS384"]):
        assert CliRunner().invoke(app, words).exit_code == 0
    public = json.loads(CliRunner().invoke(app, show).stdout)["keys"]
    clients = [
        Known(client_id="syncd", keys=public, scopes=SCOPES),
        Known(client_id="narrow", keys=public, scopes=SCOPES[1:]),
        Known(client_id="basic", secret=SECRET, method="client_secret_basic", scopes=SCOPES),
        Known(client_id="post", secret=SECRET, method="client_secret_post", scopes=SCOPES),
    ]
    server = Authorization(directory=folder, papers=papers, clients=clients, scopes=SCOPES)
    with server:
        yield Site(
            giver=server,
            papers=papers,
            key_file=key_file,
            planted={SECRET, *(str(value) for key in read_keys(key_file.read_text()) for value in _private(key))},
        )


@pytest.fixture
def giver(oauth: Site) -> Iterator[Site]:
    """It answers as it should, again after each test; everything it was shown is remembered."""
    yield oauth
    oauth.giver.start() if not oauth.giver.is_running else None
    oauth.planted |= set(oauth.giver.set(ttl=300, delay=0, audience=AUDIENCE, format="opaque")["proofs"]) - {""}


@pytest.fixture
def guarded(oauth: Site, hapi: FhirServer) -> Iterator[Callable[..., GuardedServer]]:
    """`guarded(target)`: a proxy before a FHIR server that asks about every token."""
    started: list[GuardedServer] = []

    def start(target: str = hapi.url, **how: Any) -> GuardedServer:
        started.append(GuardedServer(target, gives=oauth.giver, papers=oauth.papers, **how))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()
        oauth.planted |= server.tokens - {""}


@pytest.mark.parametrize("way", ["ES384", "RS384", "basic", "post"])
def test_every_way_to_prove_who_we_are_is_taken(giver: Site, way: str) -> None:
    """RFC 6749 2.3.1, RFC 7523, SMART 2.2: on a server that is not ours."""
    keys = {key.algorithm: key for key in read_keys(giver.key_file.read_text())}
    if way in keys:
        tokens = giver.tokens(giver.client(kid=keys[way].kid))
    else:
        tokens = giver.tokens(SecretClient(client_id=way, secret=lambda: SECRET, place=PLACE, method=f"client_secret_{way}"))
    fetched = tokens.current()
    found = giver.giver.holds(fetched.token.value)
    assert found is not None
    assert (set(found["scope"].split()), fetched.missing) == (set(SCOPES), ())
    assert abs(fetched.ahead or 0.0) < 5
    giver.planted.add(fetched.token.value)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("unknown kid", "is registered there (`syncd keys show`)"),
        ("another audience", "SYNCD_FHIR__AUTH__AUDIENCE"),
        ("replayed jti", "invalid_client"),
        ("unknown client", "check SYNCD_FHIR__AUTH__CLIENT_ID"),
        ("wrong secret", "check SYNCD_FHIR__AUTH__CLIENT_ID and SYNCD_FHIR__AUTH__CLIENT_SECRET"),
        ("more than allowed", f"asked for {SCOPES[0]}"),
    ],
)
def test_a_refusal_pauses_the_target_and_names_the_setting(
    giver: Site, what: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES C6: the operator must act; no secret, and no word of the server's."""
    stranger = private_set([new_key()])
    client: Any = {
        "unknown kid": lambda: giver.client(keys=lambda: stranger),
        "another audience": lambda: giver.client(audience="https://somebody.else.example"),
        "unknown client": lambda: giver.client(client_id="nobody"),
        "wrong secret": lambda: SecretClient(client_id="basic", secret=lambda: "wrong:planted", place=PLACE),
        "more than allowed": lambda: giver.client(client_id="narrow"),
    }.get(what, giver.client)()
    tokens = giver.tokens(client)
    if what == "replayed jti":
        monkeypatch.setattr(uuid, "uuid4", lambda: "always the same")
        tokens.forget(tokens.current().token.value)
    with pytest.raises(TargetPaused) as raised:
        tokens.current()
    assert words in giver.heard(raised.value)


def test_a_slow_endpoint_is_an_outage(giver: Site) -> None:
    """The target's breaker opens; no study is blamed."""
    giver.giver.set(delay=3000)
    with pytest.raises(Transient) as raised:
        giver.tokens(timeout=0.5).current()
    assert not isinstance(raised.value, Unsuitable)
    assert (raised.value.server, "SYNCD" in giver.heard(raised.value)) == ("fhir", False)


def test_a_dead_endpoint_is_an_outage_and_its_return_is_noticed(giver: Site) -> None:
    clock = [0.0]
    tokens = giver.tokens(monotonic=lambda: clock[0])
    giver.giver.stop()
    with pytest.raises(Unreachable, match="The authorization server of the FHIR server cannot be reached") as raised:
        tokens.current()
    assert "SYNCD_FHIR__AUTH__TOKEN_URL" in giver.heard(raised.value)
    giver.giver.start()
    clock[0] += 2
    assert giver.giver.holds(tokens.current().token.value)


@pytest.mark.parametrize("what", ["revoked", "expired"])
def test_a_token_that_is_over_is_replaced_within_the_request(
    giver: Site, guarded: Callable[..., GuardedServer], what: str
) -> None:
    """401, once more, and nobody notices: our clock stands still, so that we do not know it."""
    server = guarded()
    tokens = giver.tokens(monotonic=lambda: 0.0)
    giver.giver.set(ttl=1 if what == "expired" else 300)
    http = _http(giver, server, tokens)
    first = tokens.current().token.value
    if what == "revoked":
        giver.giver.revoke(first)
    else:
        wait_until(lambda: giver.giver.holds(first) is None, what="expired")
        giver.giver.set(ttl=300)
    assert http.exchange("POST", "Patient/_search", form={"_id": "none"}).status == 200
    assert [one.status for one in server.exchanges(path="Patient")] == [401, 200]
    assert tokens.current().token.value != first


def test_a_short_life_is_never_noticed(giver: Site, guarded: Callable[..., GuardedServer]) -> None:
    """Renewed before it ends: no request is refused."""
    server = guarded()
    giver.giver.set(ttl=8)  # that server counts whole seconds
    tokens = giver.tokens()
    http = _http(giver, server, tokens)
    first = tokens.current().token.value
    while tokens.current().token.value == first:
        assert http.exchange("POST", "Patient/_search", form={"_id": "none"}).status == 200
    assert giver.giver.holds(first)
    assert {one.status for one in server.exchanges(path="Patient")} == {200}


def test_a_token_for_somebody_else_is_told_with_its_audience(giver: Site, guarded: Callable[..., GuardedServer]) -> None:
    """`syncd check` and /readyz tell whose audience was refused."""
    server = guarded()
    giver.giver.set(audience="https://another.example.org/", format="jwt")
    with pytest.raises(TargetPaused, match=r"it is for https://another\.example\.org/") as raised:
        _http(giver, server, giver.tokens()).exchange("GET", "Patient/1")
    assert "SYNCD_FHIR__AUTH__AUDIENCE" in giver.heard(raised.value)


def test_keys_are_exchanged_without_a_refusal(giver: Site, tmp_path: Path) -> None:
    """Rotation by the commands of docs/operation.md: both are registered, the old one is dropped, the new one signs."""
    file = shutil.copy(giver.key_file, tmp_path / "keys.json")
    tokens = giver.tokens(giver.client(keys=file.read_text))
    old, registered = read_keys(file.read_text())
    tokens.forget(tokens.current().token.value)
    smart = {"KIND": "smart", "CLIENT_ID": "syncd", "PRIVATE_KEY_FILE": str(file)}
    variables = {**ENOUGH, **{f"SYNCD_FHIR__AUTH__{name}": value for name, value in smart.items()}}
    for words in _typed(EXCHANGE, "", "", old.kid):
        done = CliRunner().invoke(app, words, env=variables)
        assert done.exit_code == 0, done.output
        giver.said.append(done.output)
    assert giver.giver.holds(tokens.current().token.value)
    left = read_keys(file.read_text())
    assert (left[0].kid, len(left)) == (registered.kid, 2)


@pytest.mark.parametrize("certificate", ["valid", "expired", "none"])
def test_a_client_certificate_goes_with_a_token(
    giver: Site, guarded: Callable[..., GuardedServer], certificate: str
) -> None:
    """Mutual TLS with any of them; one that ended yesterday is told as that."""
    server = guarded(wants_client=True)
    papers = giver.papers
    shown = {"valid": papers.client, "expired": papers.expired}.get(certificate)
    both = {"client_cert": str(shown), "client_key": str(papers.client_key)} if shown else {}
    http = _http(giver, server, giver.tokens(), **both)
    if certificate == "valid":
        assert http.exchange("POST", "Patient/_search", form={"_id": "none"}).status == 200
        return
    # Whether its alert is read, or the end of the connection only, is a race of two machines (TLS 1.3).
    told = r"refuses the certificate that we show.*|no TLS connection.*|cannot be reached.*|the connection broke"
    with pytest.raises(Transient, match=told) as raised:
        http.exchange("GET", "metadata")
    giver.heard(raised.value)


def test_an_archive_behind_a_gateway_takes_a_token(archive: Archive, giver: Site) -> None:
    """Client credentials for Orthanc; one that is revoked is replaced, one that nobody gives is the archive's outage."""
    name = ArchiveName("west")
    place = Place(server=name, prefix="SYNCD_ARCHIVES__WEST__AUTH__")
    client = SecretClient(client_id="basic", secret=lambda: SECRET, place=place)
    at = GiverConnection(url=giver.giver.url, place=place, ca_file=str(giver.papers.authority))
    tokens = Tokens(Grant(place=place, client=client, endpoint=giver.giver.endpoint), ask=Asking(at))
    ours = basic_authorization(archive.username, archive.password)["Authorization"]
    with GuardedArchive(archive.url, gives=giver.giver, authorization=ours) as gateway:
        connection = ArchiveConnection(name=name, url=gateway.url, authorization=Granted(tokens, place=place))
        with closing(OrthancArchive(connection)) as orthanc:
            assert orthanc.info().version == archive.version
            giver.giver.revoke(tokens.current().token.value)
            gateway.forget()
            assert orthanc.info().version == archive.version
            assert [one.status for one in gateway.exchanges()][:2] == [401, 200]
            giver.giver.stop()
            tokens.forget(tokens.current().token.value)
            away = "The authorization server of archive west cannot be reached"
            with pytest.raises(Unreachable, match=away) as raised:
                orthanc.info()
    assert raised.value.server == name
    giver.heard(raised.value)


def test_an_import_an_outage_and_an_audit(
    archive: Archive,
    hapi: FhirServer,
    giver: Site,
    guarded: Callable[..., GuardedServer],
    install: Callable[..., Installation],
) -> None:
    """The whole of it, as docs/operation.md sets it up: TLS, a path prefix, SMART; every request is asked about, so that
    the scopes are those that syncd needs. The authorization server goes away in the middle and costs no study an attempt."""
    site = install(archive, hapi)
    server = guarded(site.before_fhir.url)
    exported = "\n".join(SET).replace(PLACES[0], f"{giver.key_file.parent}/").replace(PLACES[1], server.base_url)
    site.syncd.variables |= dict(re.findall(r"^export (\w+)=(.+)$", exported, re.MULTILINE))
    site.syncd.variables["SYNCD_FHIR__CA_FILE"] = str(giver.papers.authority)
    ((command,),) = _typed(SET)
    said = site.syncd.command(command, expect=0).out
    assert f"asked for {' '.join(SCOPES)}: all of it granted" in said
    assert "lives 300 s" in said
    assert "clock" not in said

    giver.giver.set(ttl=4)
    site.syncd.start()
    uids = _sent(site, "before")
    site.wait_for(*uids)

    giver.giver.stop()
    uids += _sent(site, "during")
    site.syncd.wait(lambda: site.syncd.status()["target"]["state"] == "open", what="the outage is told")
    site.syncd.wait(lambda: site.syncd.status()["studies"]["dirty"] == SENT, what="all marked")
    # The proxy, too, has nobody to ask; once the token is over, nobody gets as far as that.
    away = "The authorization server of the FHIR server cannot be reached"
    site.syncd.wait(lambda: away in site.syncd.page("/readyz").text, what="told whose outage it is")
    assert site.syncd.page("/readyz").status == 503
    assert site.syncd.page("/livez").status == 200
    assert away in json.dumps(site.syncd.status())
    site.syncd.command("status", expect=3)
    assert set(site.syncd.attempts().values()) == {0}
    assert site.syncd.parked() == {}

    giver.giver.start()
    site.wait_for(*uids)
    giver.giver.set(ttl=300)
    told = [site.statuses(uid) for uid in uids]
    assert [one for one in told if len(set(one)) < len(one)] == [], "nothing was written twice"
    for path in ("/metrics", "/api/status", "/"):
        site.syncd.page(path)
    site.syncd.command("config", "show", expect=0)
    site.syncd.stop()
    site.assert_equal()
    site.syncd.command("audit", "--deep", expect=0)
    assert not [one for one in server.exchanges() if one.status == 403]

    stranger = site.syncd.directory / "stranger.json"
    stranger.write_text(private_set([new_key()]))
    site.syncd.variables["SYNCD_FHIR__AUTH__PRIVATE_KEY_FILE"] = str(stranger)
    refused = site.syncd.command("check", expect=3).out
    assert "invalid_client" in refused
    assert "SYNCD_FHIR__AUTH__PRIVATE_KEY" in refused
    giver.giver.stop()
    assert "The authorization server of the FHIR server cannot be reached" in site.syncd.command("check", expect=3).out
    giver.said.append(site.syncd.everything_said())


def test_nothing_secret_was_ever_said(giver: Site) -> None:
    """RULES S1, of everything above: logs, pages, metrics, messages of exceptions and their causes; the last test here."""
    with suppress(AssertionError):
        giver.planted |= set(giver.giver.set()["proofs"]) - {""}
    assert len(giver.planted) > 20
    everything = "\n".join(giver.said)
    assert len(everything) > 10_000
    assert [one[:12] for one in giver.planted if one in everything] == []
    assert "eyJ" not in everything, "the beginning of every JWT"


def _http(giver: Site, server: GuardedServer, tokens: Tokens, **more: Any) -> FhirHttp:
    who = Granted(tokens, place=PLACE)
    return FhirHttp(FhirConnection(url=server.base_url, ca_file=str(giver.papers.authority), authorization=who, **more))


def _private(key: Any) -> list[str]:
    return [value for name, value in key.private.items() if name in ("d", "p", "q", "dp", "dq", "qi")]


def _sent(site: Installation, words: str) -> list[str]:
    made = [study(f"oauth {words} {place}") for place in range(SENT)]
    for _, files in made:
        site.send(*files)
    return [study_uid for study_uid, _ in made]
