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
_YES = frozenset({"true", "t", "1", "yes", "y", "on"})
_NO = frozenset({"false", "f", "0", "no", "n", "off"})

PROFILE_VERSIONS = {"eu": ("r4", "r5"), "mado": ("r4",)}
"""The FHIR versions in which each POLICY__PROFILE is written; what the server speaks is asked when it is there."""

NEEDED_BY_KIND = {"none": (), "basic": ("username", "password"), "bearer": ("token",)}
"""What each FHIR__AUTH__KIND needs; the others of these fields would never be used."""


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
    if _ARCHIVE_NAME.fullmatch(name):
        return
    first = next(one for path, one in given.items() if path[:2] == ("archives", name))
    yield _problem(first, "the archive's name is not allowed", advice="use at most 40 lower-case letters, digits and _")


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
    user, password, token = (given.get((*block, name)) for name in ("username", "password", "token"))
    if token and (user or password):
        other = user or password
        yield _problem(token, f"excludes {other.name if other else ''}", advice="give a token, or a user name and password")
        return
    if user and not password:
        yield missing_setting((*block, "password"), why=f"is missing: {user.name} needs it")
    if password and not user:
        yield missing_setting((*block, "username"), why=f"is missing: {password.name} needs it")


def _fhir_auth(given: Mapping[Path, Given]) -> Iterator[Problem]:
    block = ("fhir", "auth")
    kind = _word(given, (*block, "kind")) or "none"
    if kind not in NEEDED_BY_KIND:
        return
    for name in ("username", "password", "token"):
        one = given.get((*block, name))
        if one and name not in NEEDED_BY_KIND[kind]:
            wanted = next(other for other, names in NEEDED_BY_KIND.items() if name in names)
            advice = f"set {catalogue.variable_of((*block, 'kind'))} to {wanted}, or remove it"
            yield _problem(one, f"is never used, for FHIR__AUTH__KIND is {kind}", advice=advice)
        if not one and name in NEEDED_BY_KIND[kind]:
            yield missing_setting((*block, name), why=f"is missing: FHIR__AUTH__KIND {kind} needs it")
    headers = given.get(("fhir", "headers"))
    if headers and kind != "none" and _has_authorization(headers.value):
        yield _problem(headers, f"sets Authorization, which FHIR__AUTH__KIND {kind} sets too", advice="keep one")


def _has_authorization(headers: Any) -> bool:
    try:
        mapping = json_mapping(headers)
    except BadValue:
        return False
    return isinstance(mapping, dict) and any(str(name).lower() == "authorization" for name in mapping)


def _web(given: Mapping[Path, Given]) -> Iterator[Problem]:
    bind = given.get(("web", "bind"))
    if bind is None or not isinstance(bind.value, str) or ("web", "token") in given:
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
