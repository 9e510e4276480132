"""Single values: what is understood, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.settings import catalogue, load
from syncd.settings.values import bind_address, duration_text, is_loopback, seconds
from tests.settings.given import ENOUGH, problems

ARCHIVE = "SYNCD_ARCHIVES__MAIN__"


@pytest.mark.parametrize(
    "written, value",
    [
        ("1s", 1.0),
        ("15min", 900.0),
        ("6h", 21600.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("2 s", 2.0),
        ("1d", 86400.0),
        ("1H", 3600.0),
    ],
)
def test_durations_are_seconds(written: str, value: float) -> None:
    """docs/settings.md: durations are written `1s`, `15min`, `6h`."""
    assert seconds(written) == value


@pytest.mark.parametrize("written", ["1s", "60s", "90s", "15min", "6h", "24h", "500ms", "1500ms"])
def test_durations_are_printed_as_they_are_written(written: str) -> None:
    """docs/settings.md: the same form in the documents and in `config show`."""
    assert duration_text(seconds(written)) == written


@given(st.integers(min_value=1, max_value=10**9))
def test_a_printed_duration_is_read_back(milliseconds: int) -> None:
    """docs/settings.md: what `config show` prints can be put into the settings."""
    assert seconds(duration_text(milliseconds / 1000)) == milliseconds / 1000


def kinds_of(*block: str) -> str:
    """The ways to authenticate, as the refusal lists them."""
    setting = catalogue.setting_at((*block, "auth", "kind"))
    assert setting is not None and "oauth2" in setting.choices
    return ", ".join(setting.choices)


REFUSED = [
    ("FHIR__TIMEOUT", "60", "has no unit; write 60s"),
    ("FHIR__TIMEOUT", "5m", "has the unknown unit m; write 5min"),
    ("FHIR__TIMEOUT", "soon", "is no duration; write it as 1s, 15min, 6h or 500ms"),
    ("FHIR__TIMEOUT", "500ms", "`500ms` is out of range; use at least 1s"),
    ("FHIR__CONCURRENCY", "0", "`0` is out of range; use at least 1"),
    ("FHIR__CONCURRENCY", "four", "`four` cannot be used; write a whole number"),
    ("FHIR__VERIFY_TLS", "maybe", "`maybe` cannot be used; write true or false"),
    ("FHIR__AUTH__KIND", "smat", f"`smat` is none of {kinds_of('fhir')}; did you mean smart?"),
    ("FHIR__VERSION", "r44", "`r44` is none of auto, dstu2, r4, r4b, r5, r6; did you mean r4?"),
    ("ARCHIVES__MAIN__AUTH__KIND", "smart", f"`smart` is none of {kinds_of('archives', 'main')}"),
    ("FHIR__URL", "localhost:8080/fhir", "is no http or https address; begin it with http:// or https://"),
    ("FHIR__URL", "http:///fhir", "names no host; write it as https://host:port/path"),
    ("FHIR__URL", "http://h:99999/fhir", "is no address; write it as https://host:port/path"),
    ("FHIR__URL", "http://h/fhir?x=1", "has a query or fragment; give the service root only, without ? and #"),
    ("FHIR__URL", "http://h/fh ir", "holds a character that no address has"),
    ("FHIR__HEADERS", "X-Tenant: a", 'is no JSON; write it as {"name": "value"}'),
    ("FHIR__HEADERS", '{"X": 1}', 'is no mapping of names to texts; write it as {"name": "value"}'),
    ("FHIR__HEADERS", '{"If-Match": "*"}', "sets If-Match, which syncd sets itself; leave it out"),
    ("FHIR__HEADERS", '{"X Y": "1"}', "has a header name with a character that no header has"),
    ("FHIR__HEADERS", '{"X": "a\\nb"}', "holds a line break or another control character"),
    ("FHIR__CA_FILE", "/not/there.pem", "names a file that cannot be read: No such file or directory"),
    ("LEDGER__URL", "postgres://db/syncd", "does not begin with postgresql://; write it as postgresql://user:password@host"),
    ("LEDGER__URL", "postgresql+asyncpg://db/syncd", "does not begin with postgresql://;"),
    ("LEDGER__URL", "postgresql://u:p@db", "names no database; write it as postgresql://user:password@host:5432/database"),
    ("LEDGER__URL", "postgresql://u:p@db:x/syncd", "is no address;"),
    ("LEDGER__URL", "postgresql://u:p@ss@db/syncd", "holds an @ or # in user name or password; write it as %40 or %23"),
    ("LEDGER__URL", "postgresql://db/syncd?password=x", "holds a password after the '?'; write it before the @,"),
    ("LEDGER__URL", "sqlite://", "names no SQLite file; write it as sqlite:////var/lib/syncd/ledger.db"),
    ("LEDGER__URL", "sqlite:///file:/x?vfs=memdb", "names no SQLite file;"),
    ("LEDGER__URL", "sqlite:///:memory:", "would be forgotten when the process ends;"),
    ("WEB__BIND", "8053", "is no host:port; write it as 127.0.0.1:8053"),
    ("WEB__BIND", ":8053", "names no host; write 0.0.0.0:8053 for every address of this machine"),
    ("WEB__BIND", "127.0.0.1:80530", "has a port above 65535"),
    ("WEB__BIND", "::1:8053", "is no host:port; write an IPv6 address in brackets: [::1]:8053"),
    ("LOG__LEVEL", "inof", "`inof` is none of debug, info, warning, error; did you mean info?"),
    ("POLICY__ENDPOINT_PREFIX", "a-much-too-long", "is longer than 14 characters; an Endpoint id has room for no more"),
    ("POLICY__ENDPOINT_PREFIX", "a_b", "cannot be part of a FHIR id; use letters, digits, '-' and '.'"),
    ("INSTALLATION_ID", "two words", "is no code; use at most 64 letters, digits, '-', '.' and '_'"),
    ("ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL", "https://x/dicom-web/studies", "ends in /studies; give the service root:"),
    ("ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL", "https://x/dicom-web/studies/", "ends in /studies; give the service root:"),
    ("ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL", "https://x/dicom-web?a", "has a query or fragment;"),
    ("ARCHIVES__MAIN__TIMEZONE", "Europe/Berln", "is no IANA time zone; did you mean Europe/Berlin?"),
    ("ARCHIVES__MAIN__TIMEZONE", "../../etc/passwd", "is no IANA time zone;"),
    ("ARCHIVES__MAIN__PATIENT_ID_SYSTEM", "2.999.1", "is an OID, not a URI; write urn:oid:2.999.1"),
    ("ARCHIVES__MAIN__PATIENT_ID_SYSTEM", "hospital", "is no absolute URI; write it as https://… or urn:oid:…"),
    ("ARCHIVES__MAIN__ACCESSION_SYSTEM", "urn:oid:1.02", "is no valid urn:oid;"),
    ("ARCHIVES__MAIN__STUDY_ID_SYSTEM", "urn:uuid:1", "is no valid urn:uuid;"),
    ("ARCHIVES__MAIN__ISSUERS", '{"A": "1.2"}', "issuer 'A': is an OID, not a URI; write urn:oid:1.2"),
    ("ARCHIVES__MAIN__TOKEN", "two words", "holds a blank or a character outside ASCII"),
    ("FHIR__AUTH__TOKEN_FILE", "/not/there", "names a file that cannot be read: No such file or directory"),
    (
        "FHIR__AUTH__TOKEN_FILE",
        "/etc/passwd",
        "names a file that holds no token; a token is one line of ASCII",
    ),
]


@pytest.mark.parametrize("name, value, told", REFUSED)
def test_a_wrong_value_is_refused_in_words(name: str, value: str, told: str) -> None:
    """Setting, source, what is wrong, what to write."""
    lines = problems({f"SYNCD_{name}": value})
    assert len(lines) == 1
    assert lines[0].startswith(f"SYNCD_{name} (environment): {told}")


UNDERSTOOD = [
    ("FHIR__URL", "https://h/fhir///", "https://h/fhir"),
    ("FHIR__URL", "http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
    ("FHIR__VERSION", "R4", "r4"),
    ("FHIR__VERIFY_TLS", "no", False),
    ("FHIR__CONCURRENCY", "8", 8),
    ("LOG__LEVEL", "WARNING", "warning"),
    ("LEDGER__URL", "sqlite:////data/ledger.db", "sqlite:////data/ledger.db"),
    (
        "LEDGER__URL",
        "postgresql://u:p%40s@db:5432/syncd?sslmode=require",
        "postgresql://u:p%40s@db:5432/syncd?sslmode=require",
    ),
    ("LEDGER__URL", "postgresql:///syncd?host=/run/postgresql", "postgresql:///syncd?host=/run/postgresql"),
    ("WEB__BIND", "[::1]:0", "[::1]:0"),
    ("POLICY__ENDPOINT_PREFIX", "site-b-", "site-b-"),
    ("ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL", "https://x/dicom-web/", "https://x/dicom-web"),
    ("ARCHIVES__MAIN__TIMEZONE", "Europe/Berlin", "Europe/Berlin"),
    ("ARCHIVES__MAIN__ISSUERS", '{"Hospital Ä": "urn:oid:2.999"}', {"Hospital Ä": "urn:oid:2.999"}),
    ("ARCHIVES__MAIN__POLL_INTERVAL", "250ms", 0.25),
]


@pytest.mark.parametrize("name, value, meant", UNDERSTOOD)
def test_a_right_value_is_understood(name: str, value: str, meant: object) -> None:
    """MAPPING I case 63 and docs/settings.md: addresses lose their trailing slash, words their case."""
    found: Any = load(environ={**ENOUGH, f"SYNCD_{name}": value})
    for part in name.lower().split("__"):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == meant


@pytest.mark.parametrize("name", ["a", "ct_2", "x" * 40])
def test_archive_names_of_the_contract(name: str) -> None:
    """docs/settings.md: lower-case letters, digits, `_`, at most 40."""
    environ = {"SYNCD_FHIR__URL": "http://h", f"SYNCD_ARCHIVES__{name.upper()}__URL": "http://h"}
    assert list(load(environ=environ).archives) == [name]


@pytest.mark.parametrize("name", ["ct-2", "x" * 41, "Main", "ä"])
def test_other_archive_names_are_refused(tmp_path: Path, name: str) -> None:
    """docs/settings.md: a name must fit into a FHIR id (RULES B5)."""
    file = tmp_path / "a.toml"
    file.write_text(f'[archives."{name}"]\nurl = "http://h"\n[fhir]\nurl = "http://h"\n', encoding="utf-8")
    environ = {"SYNCD_ARCHIVES__MAIN__URL": "", "SYNCD_FHIR__URL": ""}
    assert problems(environ, config_file=file) == [
        f"archives.{name}.url (file {file}): the archive's name is not allowed; "
        "use at most 40 lower-case letters, digits and _"
    ]


def test_the_longest_endpoint_id_is_a_fhir_id() -> None:
    """RULES B5: prefix, archive's name and the longest suffix stay within 64 characters."""
    environ = {"SYNCD_FHIR__URL": "http://h", f"SYNCD_ARCHIVES__{'X' * 40}__URL": "http://h"}
    settings = load(environ={**environ, "SYNCD_POLICY__ENDPOINT_PREFIX": "p" * 14})
    assert len(f"{settings.policy.endpoint_prefix}{next(iter(settings.archives))}-wado-uri") <= 64


@pytest.mark.parametrize(
    "host, loopback",
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("h", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    """RULES S3: any other address needs the token."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "text, parts",
    [("127.0.0.1:8053", ("127.0.0.1", 8053)), ("[::1]:0", ("::1", 0)), ("web.example.org:80", ("web.example.org", 80))],
)
def test_an_address_to_listen_on_has_two_parts(text: str, parts: tuple[str, int]) -> None:
    """docs/settings.md, WEB__BIND."""
    assert bind_address(text) == parts
