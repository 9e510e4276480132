"""What a single value may look like: durations, addresses, identifier systems, files, secrets.

Each type turns what somebody wrote into what the program uses, or says in words what is wrong and what to write
instead. A refusal is printed and logged: no message repeats a value that could hold a secret (an address with
credentials in it, a header, a token).
"""

from __future__ import annotations

import ipaddress
import json
import re
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr


class BadValue(ValueError):
    """`wrong` says what is the matter, `advice` what to write instead; neither repeats a secret."""

    def __init__(self, wrong: str, advice: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.advice = advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How a value of this type is written, for the generated documents; `example` is TOML."""

    form: str
    example: str


# Milliseconds per unit, longest first. Days are read but never printed: operators compare hours.
_UNITS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)")
_NO_ADDRESS = re.compile(r"""[\x00-\x20\x7f<>"{}|\\^`]""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f<>\"{}|\\^`]+")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

LARGEST_TOKEN = 65_536
"""Bytes of a file that holds one."""

OUR_HEADERS = frozenset(
    {"accept", "cache-control", "connection", "content-encoding", "content-length", "content-type", "cookie", "host"}
    | {"if-match", "if-none-exist", "if-none-match", "prefer", "transfer-encoding", "x-correlation-id"}
)
"""Headers by which syncd itself speaks: another value would break conditional writes or the reading of answers."""


def seconds(written: object) -> float:
    """`1s`, `15min`, `6h`, `500ms` as seconds; a bare number is refused, because nobody can see its unit."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        raise BadValue("has no unit", f"write {written:g}s")
    if not isinstance(written, str):
        raise BadValue("is no duration", "write it as 1s, 15min, 6h or 500ms")
    match = _DURATION.fullmatch(written.strip())
    if match is None:
        raise BadValue("is no duration", "write it as 1s, 15min, 6h or 500ms")
    number, unit = match.groups()
    if not unit:
        raise BadValue("has no unit", f"write {number}s")
    if unit.lower() not in _UNITS:
        advice = f"write {number}min" if unit.lower() == "m" else "use ms, s, min or h"
        raise BadValue(f"has the unknown unit {unit}", advice)
    return float(Decimal(number) * _UNITS[unit.lower()] / 1000)


def duration_text(value: float) -> str:
    """Seconds as somebody would write them: the longest unit that divides them, but `60s` and not `1min`."""
    milliseconds = round(value * 1000)
    for unit in ("h", "min", "s"):
        count, rest = divmod(milliseconds, _UNITS[unit])
        if count and not rest and (unit, count) != ("min", 1):
            return f"{count}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def service_url(text: str) -> str:
    """An http or https address of a service root, without a trailing slash, a query or credentials."""
    if _NO_ADDRESS.search(text):
        raise BadValue("holds a character that no address has")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadValue("is no address", "write it as https://host:port/path") from None
    if parts.scheme not in ("http", "https"):
        raise BadValue("is no http or https address", "begin it with http:// or https://")
    if "@" in parts.netloc:
        raise BadValue("carries credentials", "put them into the settings for user name and password")
    if not host or not (_HOST_NAME.fullmatch(host) or _is_ip(host)):
        raise BadValue("names no host", "write it as https://host:port/path")
    if "?" in text or "#" in text:
        raise BadValue("has a query or fragment", "give the service root only, without ? and #")
    return text.rstrip("/")


def endpoint_url(text: str) -> str:
    """An http or https address as it is to be asked: an authorization server compares it letter by letter."""
    service_url(text.partition("?")[0])
    if "#" in text or _NO_ADDRESS.search(text):
        raise BadValue("has a fragment or a character that no address has")
    return text


def dicomweb_root(text: str) -> str:
    """The root of a DICOMweb service, to which clients add `/studies/…` (MAPPING I case 63)."""
    address = service_url(text)
    if address.endswith("/studies"):
        raise BadValue("ends in /studies", "give the service root: clients add /studies themselves")
    return address


def absolute_uri(text: str) -> str:
    """An identifier system: an absolute URI (FHIR Identifier.system)."""
    if _OID.fullmatch(text):
        raise BadValue("is an OID, not a URI", f"write urn:oid:{text}")
    if not _URI.fullmatch(text):
        raise BadValue("is no absolute URI", "write it as https://… or urn:oid:…")
    if text.startswith("urn:oid:") and not _OID.fullmatch(text.removeprefix("urn:oid:")):
        raise BadValue("is no valid urn:oid", "an OID is dotted numbers without leading zeros")
    if text.startswith("urn:uuid:") and not _UUID.fullmatch(text.removeprefix("urn:uuid:")):
        raise BadValue("is no valid urn:uuid", "a UUID is written in lower-case hexadecimal digits, 8-4-4-4-12")
    if text.startswith(("http:", "https:")) and not urlsplit(text).hostname:
        raise BadValue("names no host")
    return text


def oid(text: str) -> str:
    """An OID: dotted numbers without leading zeros."""
    if not _OID.fullmatch(text):
        raise BadValue("is no OID", "an OID is dotted numbers without leading zeros, such as 2.999.1")
    return text


def time_zone(text: str) -> str:
    """An IANA time zone that this machine knows."""
    known = zoneinfo.available_timezones()
    if text in known:
        return text
    by_case = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(text.lower().replace(" ", "_"), by_case, n=1)
    raise BadValue("is no IANA time zone", f"did you mean {by_case[close[0]]}?" if close else "write it as Europe/Berlin")


def readable_file(path: Path) -> Path:
    """A file that exists and can be read now, so that its absence is not found by the first request."""
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise BadValue(f"names a file that cannot be read: {error.strerror}") from None


def token_file(path: Path) -> Path:
    """A file that holds a token now; it is read again whenever it changes."""
    with readable_file(path).open("rb") as stream:
        content = stream.read(LARGEST_TOKEN + 1)
    if not re.fullmatch(rb"[!-~]+[\r\n]*", content) or len(content) > LARGEST_TOKEN:
        raise BadValue("names a file that holds no token", "a token is one line of ASCII without blanks")
    return path


class LedgerAddress(str):
    """The ledger's address; printed, it keeps its password to itself, and only as a string value does it hold it."""

    def __str__(self) -> str:
        return re.sub(r"^([a-z+]+://[^:/@]*):[^@/]*@", r"\1:••••@", str.__str__(self))

    def __repr__(self) -> str:
        return repr(str(self))


def ledger_url(text: str) -> str:
    """The ledger's place: a file of SQLite, or a PostgreSQL database."""
    if re.match(r"postgres(ql)?(\+[a-z0-9]+)?:", text):
        return LedgerAddress(_postgresql_url(text))
    return LedgerAddress(_sqlite_url(text))


_POSTGRESQL_EXAMPLE = "write it as postgresql://user:password@host:5432/database"


def _postgresql_url(text: str) -> str:
    """What SQLAlchemy and libpq understand; what it says of a server is theirs to find out."""
    if not text.startswith("postgresql://"):
        raise BadValue("does not begin with postgresql://", _POSTGRESQL_EXAMPLE)
    if _NO_ADDRESS.search(text):
        raise BadValue("holds a character that no address has", "write it as %XX, as in %40 for @")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises where it is none
    except ValueError:
        raise BadValue("is no address", _POSTGRESQL_EXAMPLE) from None
    if parts.netloc.count("@") > 1 or parts.fragment:
        raise BadValue("holds an @ or # in user name or password", "write it as %40 or %23")
    if not parts.path.strip("/") or "/" in parts.path.strip("/"):
        raise BadValue("names no database", _POSTGRESQL_EXAMPLE)
    if "password=" in parts.query:
        raise BadValue("holds a password after the '?'", "write it before the @, or use a secret file")
    return text


def _sqlite_url(text: str) -> str:
    """`sqlite:///relative` or `sqlite:////absolute`."""
    path = text.removeprefix("sqlite:///")
    if path == text or not path or "?" in path or path.endswith("/") or _CONTROL.search(path):
        raise BadValue("names no SQLite file", "write it as sqlite:////var/lib/syncd/ledger.db or postgresql://…")
    if ":memory:" in path:
        raise BadValue("would be forgotten when the process ends", "write it as sqlite:////var/lib/syncd/ledger.db")
    return text


def bind_address(text: str) -> tuple[str, int]:
    """`host:port` (`[::1]:port`) as its two parts; port 0 means any free one."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadValue("is no host:port", "write an IPv6 address in brackets: [::1]:8053")
    if not colon or not port.isascii() or not port.isdigit():
        raise BadValue("is no host:port", "write it as 127.0.0.1:8053")
    if int(port) > 65535:
        raise BadValue("has a port above 65535")
    if not host:
        raise BadValue("names no host", f"write 0.0.0.0:{port} for every address of this machine")
    if not _HOST_NAME.fullmatch(host) and not _is_ip(host):
        raise BadValue("is no host:port", "write it as 127.0.0.1:8053")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name other than localhost counts as reachable by others."""
    if host.lower() == "localhost":
        return True
    return _is_ip(host) and ipaddress.ip_address(host).is_loopback


def json_mapping(given: object) -> object:
    """A mapping, written as JSON where only text can be written (environment, secret files)."""
    advice = 'write it as {"name": "value"}'
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise BadValue("is no JSON", advice) from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadValue("is no mapping of names to texts", advice)
    return given


def issuer_systems(given: dict[str, str]) -> dict[str, str]:
    """Issuer names and their systems; a wrong system is told by the issuer's name."""
    for issuer, system in given.items():
        if not issuer.strip():
            raise BadValue("has an issuer without a name")
        try:
            absolute_uri(system)
        except BadValue as bad:
            raise BadValue(f"issuer {issuer!r}: {bad.wrong}", bad.advice) from None
    return given


def sent_headers(given: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Further request headers; those by which syncd itself speaks are refused."""
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name):
            raise BadValue("has a header name with a character that no header has")
        if name.lower() in OUR_HEADERS:
            raise BadValue(f"sets {name}, which syncd sets itself", "leave it out")
        one_line(value)
    return given


def one_line(secret: SecretStr) -> SecretStr:
    """A secret without control characters, which would end a header early."""
    if _CONTROL.search(secret.get_secret_value()):
        raise BadValue("holds a line break or another control character")
    return secret


def header_token(secret: SecretStr) -> SecretStr:
    """A token that can be sent in a header: visible ASCII (RFC 6750 2.1)."""
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise BadValue("holds a blank or a character outside ASCII")
    return secret


def user_name(text: str) -> str:
    """A user name for basic authentication, which cannot hold a colon (RFC 7617 2)."""
    if ":" in text or _CONTROL.search(text):
        raise BadValue("holds a colon or a control character")
    return text


def scope(text: str) -> str:
    """Scopes as they are asked for, with blanks between them (RFC 6749 3.3)."""
    if not all(re.fullmatch(r"[!#-\[\]-~]+", one) for one in text.split(" ")):
        raise BadValue("holds a character that no scope has", "write scopes with one blank between them")
    return text


def client_name(text: str) -> str:
    """A client identifier, an audience or a key's identifier: printable ASCII (RFC 6749 appendix A.1)."""
    if not re.fullmatch(r"[ -~]+", text):
        raise BadValue("holds a character outside printable ASCII")
    return text


def lower_case(given: Any) -> Any:
    """Words are compared without case: `INFO` is `info`."""
    return given.strip().lower() if isinstance(given, str) else given


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bind_text(text: str) -> str:
    bind_address(text)
    return text


Duration = Annotated[float, BeforeValidator(seconds), Written(form="duration", example='"1s"')]
ServiceUrl = Annotated[str, AfterValidator(service_url), Written(form="address", example='"https://pacs.example.org"')]
EndpointUrl = Annotated[
    str, AfterValidator(endpoint_url), Written(form="address", example='"https://login.example.org/token"')
]
DicomWebUrl = Annotated[
    str, AfterValidator(dicomweb_root), Written(form="address", example='"https://pacs.example.org/dicom-web"')
]
SystemUri = Annotated[str, AfterValidator(absolute_uri), Written(form="URI", example='"urn:oid:2.999.1"')]
Oid = Annotated[str, AfterValidator(oid), Written(form="OID", example='"2.999.1"')]
TimeZone = Annotated[str, AfterValidator(time_zone), Written(form="IANA time zone", example='"Europe/Berlin"')]
TokenFile = Annotated[Path, AfterValidator(token_file), Written(form="file", example='"/run/token"')]
KeyText = Annotated[SecretStr, Written(form="secret", example='"…"')]
Scope = Annotated[str, AfterValidator(scope), Written(form="text", example='"system/*.cruds"')]
ClientName = Annotated[str, AfterValidator(client_name), Written(form="text", example='"syncd"')]
ReadableFile = Annotated[Path, AfterValidator(readable_file), Written(form="file", example='"/etc/syncd/file.pem"')]
Issuers = Annotated[
    dict[str, str],
    BeforeValidator(json_mapping),
    AfterValidator(issuer_systems),
    Written(form="mapping (JSON)", example='{ "Hospital A" = "urn:oid:2.999.1" }'),
]
Headers = Annotated[
    dict[str, SecretStr],
    BeforeValidator(json_mapping),
    AfterValidator(sent_headers),
    Written(form="mapping (JSON)", example='{ "X-Tenant" = "radiology" }'),
]
Secret = Annotated[SecretStr, AfterValidator(one_line), Written(form="secret", example='"…"')]
Token = Annotated[SecretStr, AfterValidator(header_token), Written(form="secret", example='"…"')]
UserName = Annotated[str, AfterValidator(user_name), Written(form="text", example='"syncd"')]
LedgerUrl = Annotated[
    str, AfterValidator(ledger_url), Written(form="address", example='"sqlite:////var/lib/syncd/ledger.db"')
]
Bind = Annotated[str, AfterValidator(_bind_text), Written(form="host:port", example='"127.0.0.1:8053"')]
