"""What no single value can tell: settings that need each other, exclude each other, or name too much.

The checks look at what was *given*, before any value is understood, so that they are reported together with values that
are wrong by themselves. They therefore ask mostly whether something is there, and read no more than a word of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from syncd.settings import catalogue
from syncd.settings.catalogue import NAME, Path
from syncd.settings.sources import Given, Problem
from syncd.settings.values import BadValue, bind_address, is_loopback, json_mapping

_ARCHIVE_NAME = re.compile(r"[a-z0-9_]{1,40}")
FHIR = "fhir"
"""What errors call the FHIR server (`syncd.errors`): an archive of that name would be blamed in its place."""
_YES = frozenset({"true", "t", "1", "yes", "y", "on"})
_NO = frozenset({"false", "f", "0", "no", "n", "off"})

PROFILE_VERSIONS = {"eu": ("r4", "r5"), "mado": ("r4",)}
"""The FHIR versions in which each POLICY__PROFILE is written; what the server speaks is asked when it is there."""

KINDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "none": (),
    "basic": (("username",), ("password",)),
    "bearer": (("token", "token_file"),),
    "oauth2": (("client_id",), ("client_secret",), ("token_url",)),
    "smart": (("client_id",), ("private_key_file", "private_key")),
}
"""What each AUTH__KIND needs: one of each group, the first where it is missing."""

MAY_HAVE = {"oauth2": ("client_auth", "scope", "audience"), "smart": ("token_url", "key_id", "scope", "audience")}
"""What each may have besides; whatever else is given of an AUTH block would never be used."""

FOUND_BY_DISCOVERY = "token_url"
"""A FHIR server says where tokens are given, an archive does not."""


def contradictions(given: Mapping[Path, Given]) -> Iterator[Problem]:
    """Everything that is wrong with the settings as a whole."""
    archives = list(dict.fromkeys(path[1] for path in given if path[0] == "archives"))
    yield from _number_of_archives(archives)
    for name in archives:
        block = ("archives", name)
        yield from _archive_name(name, given=given)
        yield from _tls(block, given=given)
        yield from _archive_credentials(block, given=given)
    yield from _tls(("fhir",), given=given)
    yield from _fhir_auth(given)
    yield from _web(given)
    yield from _body_structure(given)
    yield from _profile(given)


def missing_setting(path: Path, *, why: str = "is missing", advice: str = "") -> Problem:
    """A setting that is needed and not there, named as the environment would name it."""
    setting = catalogue.setting_at(path)
    example = setting.field.examples if setting else None
    hint = advice or (f"for instance {catalogue.variable_of(path)}={example[0]}" if example else "")
    return Problem(name=catalogue.variable_of(path), source="not set", wrong=why, advice=hint)


def _number_of_archives(names: list[str]) -> Iterator[Problem]:
    if not names:
        example = "SYNCD_ARCHIVES__MAIN__URL=http://127.0.0.1:8042"
        yield missing_setting(
            ("archives", NAME, "url"), why="is missing: no archive is named", advice=f"for instance {example}"
        )


def _archive_name(name: str, *, given: Mapping[Path, Given]) -> Iterator[Problem]:
    first = next(one for path, one in given.items() if path[:2] == ("archives", name))
    if not _ARCHIVE_NAME.fullmatch(name):
        yield _problem(first, "the archive's name is not allowed", advice="use at most 40 lower-case letters, digits and _")
    if name == FHIR:
        advice = "give the archive another name"
        yield _problem(first, "the archive's name is not allowed: it stands for the FHIR server", advice=advice)


def _tls(block: Path, *, given: Mapping[Path, Given]) -> Iterator[Problem]:
    certificate, key = given.get((*block, "client_cert")), given.get((*block, "client_key"))
    if certificate and not key:
        yield missing_setting((*block, "client_key"), why=f"is missing: {certificate.name} needs it")
    if key and not certificate:
        yield missing_setting((*block, "client_cert"), why=f"is missing: {key.name} needs it")
    authorities = given.get((*block, "ca_file"))
    if authorities and _word(given, (*block, "verify_tls")) in _NO:
        wrong = "is of no use: the certificate is not verified"
        yield _problem(authorities, wrong, advice="remove it, or VERIFY_TLS=false")


def _archive_credentials(block: Path, *, given: Mapping[Path, Given]) -> Iterator[Problem]:
    if (*block, "auth", "kind") in given:
        kind = _word(given, (*block, "auth", "kind"))
        yield from _missing_for_kind(block, kind=kind, given=given)
        yield from _unused_by_kind(block, kind=kind, given=given)
        return
    places = _auth_places(block)
    tokens = [given[places[name]] for name in ("token", "token_file") if places[name] in given]
    named = {name: given[(*block, name)] for name in ("username", "password") if (*block, name) in given}
    if tokens and named:
        other = next(iter(named.values()))
        advice = "give a token, or a user name and password"
        yield _problem(tokens[0], f"excludes {other.name}", advice=advice)
        return
    for name in {"username", "password"} - named.keys() if named else ():
        yield missing_setting((*block, name), why=f"is missing: {next(iter(named.values())).name} needs it")
    yield from _unused_by_kind(block, kind="bearer" if tokens else "basic" if named else "none", given=given)


def _fhir_auth(given: Mapping[Path, Given]) -> Iterator[Problem]:
    block = ("fhir", "auth")
    by_token = any((*block, name) in given for name in ("token", "token_file"))
    kind = _word(given, (*block, "kind")) or ("bearer" if by_token else "none")
    yield from _missing_for_kind(("fhir",), kind=kind, given=given)
    yield from _unused_by_kind(("fhir",), kind=kind, given=given)
    headers = given.get(("fhir", "headers"))
    if headers and kind != "none" and _has_authorization(headers.value):
        yield _problem(headers, f"sets Authorization, which FHIR__AUTH__KIND {kind} sets too", advice="keep one")


def _auth_places(block: Path) -> dict[str, Path]:
    """Where each setting of a server's authentication stands: an archive's name and password are older than its block."""
    names = [path[-1] for path in catalogue.BY_PATH if path[:-1] == ("fhir", "auth")]
    flat = ("username", "password", "token") if block[0] == "archives" else ()
    found = {name: (*block, name) if name in flat else (*block, "auth", name) for name in names}
    return {name: path for name, path in found.items() if catalogue.setting_at(path)}


def _missing_for_kind(block: Path, *, kind: str, given: Mapping[Path, Given]) -> Iterator[Problem]:
    places = _auth_places(block)
    for group in KINDS[kind] if _is_kind(block, kind) else ():
        if group[0] == FOUND_BY_DISCOVERY and block[0] == "fhir":
            continue
        if not any(places.get(name) in given for name in group):
            yield missing_setting(places[group[0]], why=f"is missing: {_kind_setting(block)} {kind} needs it")


def _unused_by_kind(block: Path, *, kind: str, given: Mapping[Path, Given]) -> Iterator[Problem]:
    """What the kind would not use, or has twice."""
    if not _is_kind(block, kind):
        return
    there = _auth_given(block, given=given)
    for group in KINDS[kind]:
        twice = [there[name] for name in group if name in there]
        for one in twice[1:]:
            yield _problem(one, f"excludes {twice[0].name}", advice="keep one")
    for name in sorted(there.keys() - _used_by(kind)):
        wanted = " or ".join(other for other in KINDS if name in _used_by(other))
        advice = f"set {catalogue.variable_of((*block, 'auth', 'kind'))} to {wanted}, or remove it"
        yield _problem(there[name], f"is never used, for {_kind_setting(block)} is {kind}", advice=advice)


def _auth_given(block: Path, *, given: Mapping[Path, Given]) -> dict[str, Given]:
    """What is given of a server's authentication; a setting at its default contradicts nothing."""
    places = {name: path for name, path in _auth_places(block).items() if path in given and name != "kind"}
    return {name: given[path] for name, path in places.items() if not _is_default(path, given)}


def _is_kind(block: Path, kind: str) -> bool:
    """Whether it is one that this server may have; another is told of where it stands."""
    setting = catalogue.setting_at((*block, "auth", "kind"))
    return setting is not None and kind in setting.choices


def _is_default(path: Path, given: Mapping[Path, Given]) -> bool:
    setting = catalogue.setting_at(path)
    return setting is not None and _word(given, path) == setting.default_text != ""


def _kind_setting(block: Path) -> str:
    return "__".join((*block, "auth", "kind")).upper()


def _used_by(kind: str) -> set[str]:
    return {name for group in KINDS[kind] for name in group} | set(MAY_HAVE.get(kind, ()))


def _has_authorization(headers: Any) -> bool:
    try:
        mapping = json_mapping(headers)
    except BadValue:
        return False
    return isinstance(mapping, dict) and any(str(name).lower() == "authorization" for name in mapping)


def _web(given: Mapping[Path, Given]) -> Iterator[Problem]:
    bind = given.get(("web", "bind"))
    tokens = [given[path] for path in (("web", "token"), ("web", "token_file")) if path in given]
    for one in tokens[1:]:
        yield _problem(one, f"excludes {tokens[0].name}", advice="keep one")
    if bind is None or not isinstance(bind.value, str) or tokens:
        return
    try:
        host, _port = bind_address(bind.value)
    except BadValue:
        return
    if not is_loopback(host):
        why = f"is missing: {bind.name} listens on another address than loopback"
        yield missing_setting(("web", "token"), why=why, advice="set a token, or listen on 127.0.0.1")


def _body_structure(given: Mapping[Path, Given]) -> Iterator[Problem]:
    """MAPPING J.7: only `series.bodySite` of R5 and R6 is a reference."""
    wanted, version = given.get(("policy", "body_structure")), _word(given, ("fhir", "version"))
    if wanted and version in ("r4", "r4b") and _word(given, ("policy", "body_structure")) in _YES:
        yield _problem(wanted, f"has no place in FHIR {version}", advice="remove it, or write to an R5 or R6 server")


def _profile(given: Mapping[Path, Given]) -> Iterator[Problem]:
    """A guide is written in certain FHIR versions; an archive's OID is for one guide only."""
    path = ("policy", "profile")
    profile, version = _word(given, path), _word(given, ("fhir", "version"))
    written = PROFILE_VERSIONS.get(profile)
    if written and version not in ("", "auto", *written):
        yield _problem(
            given[path],
            f"is {profile}, which is written in {' and '.join(written)}, but FHIR__VERSION is {version}",
            advice="unset one of them",
        )
    matched = ("policy", "service_request")
    if profile == "mado" and _word(given, matched) == "match":
        advice = "unset one of them"
        yield _problem(given[matched], "is match, but IHE MADO names an order by its identifier only", advice=advice)
    for one_path, one in given.items():
        if one_path[0] == "archives" and one_path[2:] == ("retrieve_location_uid",) and profile != "mado":
            advice = f"set {catalogue.variable_of(path)} to mado, or remove it"
            yield _problem(one, "is never used, for POLICY__PROFILE is not mado", advice=advice)


def _word(given: Mapping[Path, Given], path: Path) -> str:
    return str(given[path].value).strip().lower() if path in given else ""


def _problem(given: Given, wrong: str, *, advice: str = "") -> Problem:
    return Problem(name=given.name, source=given.source, wrong=wrong, advice=advice)
