"""From settings to credentials that change while syncd runs; those that do not are part of a connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from syncd.auth.client import BASIC, POST, Client, SecretClient
from syncd.auth.credentials import Granted, TokenFile
from syncd.auth.place import Place
from syncd.auth.scopes import Need
from syncd.auth.secret_file import SecretFile
from syncd.auth.tokens import Grant, Tokens
from syncd.errors import ConfigurationError, SyncdError
from syncd.http.headers import Credentials
from syncd.publish.asking import LONGEST_WAIT, Asking, GiverConnection
from syncd.settings.schema import ArchiveAuthSettings, ArchiveSettings, AuthSettings, FhirSettings, WebSettings

_METHODS = {"auto": "", "basic": BASIC, "post": POST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizations:
    """Who we are for each server where that changes while syncd runs; None where what its connection holds is all."""

    fhir: Credentials | None
    archives: Mapping[str, Credentials | None]

    @property
    def granted(self) -> tuple[Granted, ...]:
        """Those for which an authorization server gives tokens, the FHIR server's first."""
        return tuple(one for one in (self.fhir, *self.archives.values()) if isinstance(one, Granted))


def of_fhir(fhir: FhirSettings, *, needs: tuple[Need, ...]) -> Credentials | None:
    """Those of the FHIR server; None where a connection says them itself. Raises `ConfigurationError` for a bad key."""
    auth, place = fhir.auth, Place()
    match auth.chosen_kind:
        case "bearer" if auth.token_file:
            return _in_file(auth.token_file, place)
        case "oauth2":
            grant = _grant(auth, _secret_client(auth, place), place, base_url=fhir.url)
        case "smart":
            grant = _grant(auth, _key_client(auth, place), place, base_url=fhir.url, needs=needs)
        case _:
            return None
    return Granted(Tokens(grant, ask=_asking(fhir, place)), place=place)


def of_archive(name: str, archive: ArchiveSettings) -> Credentials | None:
    """The same for an archive."""
    place = Place(server=name, prefix=f"SYNCD_ARCHIVES__{name.upper()}__AUTH__")
    match archive.auth_kind:
        case "bearer" if archive.auth.token_file:
            return _in_file(archive.auth.token_file, place)
        case "oauth2":
            grant = _grant(archive.auth, _secret_client(archive.auth, place), place)
            return Granted(Tokens(grant, ask=_asking(archive, place)), place=place)
    return None


def of_web(web: WebSettings) -> Callable[[], str]:
    """The token that our own pages ask for, as it is now; empty where none is set."""
    if web.token_file is None:
        token = web.token.get_secret_value() if web.token else ""
        return lambda: token
    file = SecretFile(web.token_file, setting="TOKEN_FILE", place=Place(server="web", prefix="SYNCD_WEB__"))
    file.read()  # from here on it has been read: whoever asks is never told of its path
    return file.read


def _grant(
    auth: AuthSettings | ArchiveAuthSettings,
    client: Client,
    place: Place,
    *,
    base_url: str = "",
    needs: tuple[Need, ...] = (),
) -> Grant:
    return Grant(
        place=place,
        client=client,
        base_url=base_url,
        endpoint=auth.token_url or "",
        scope=auth.scope or "",
        needs=needs,
        audience="" if client.by_clock else auth.audience or "",
    )


def _secret_client(auth: AuthSettings | ArchiveAuthSettings, place: Place) -> Client:
    secret = _held(auth.client_secret)
    return SecretClient(client_id=auth.client_id or "", secret=secret, place=place, method=_METHODS[auth.client_auth])


def _key_client(auth: AuthSettings, place: Place) -> Client:
    """Its key is looked at now: what is wrong with it is wrong with the settings."""
    from syncd.auth.key_client import KeyClient

    file = auth.private_key_file
    keys = SecretFile(file, setting="PRIVATE_KEY_FILE", place=place).read if file else _held(auth.private_key)
    client = KeyClient(
        client_id=auth.client_id or "", keys=keys, place=place, kid=auth.key_id or "", audience=auth.audience or ""
    )
    try:
        client.key  # noqa: B018 - raises where it is none
    except SyncdError as bad:
        raise ConfigurationError(str(bad)) from None
    return client


def _in_file(file: Path, place: Place) -> Credentials:
    return TokenFile(SecretFile(file, setting="TOKEN_FILE", place=place), place=place)


def _held(secret: SecretStr | None) -> Callable[[], str]:
    return secret.get_secret_value if secret is not None else str


def _asking(server: FhirSettings | ArchiveSettings, place: Place) -> Asking:
    return Asking(
        GiverConnection(
            url=server.url,
            place=place,
            ca_file=str(server.ca_file or ""),
            client_cert=str(server.client_cert or ""),
            client_key=str(server.client_key or ""),
            verify_tls=server.verify_tls,
            timeout=min(server.timeout, LONGEST_WAIT),
        )
    )
