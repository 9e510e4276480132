"""How one archive is reached, as plain values; the settings fill them in.

Such a value ends up in tracebacks and logs: its `repr` names the archive and where it listens, never a credential, also
not one that was written into the URL.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from syncd.errors import ConfigurationError
from syncd.model.ids import ArchiveName

DEFAULT_TIMEOUT = 30.0
"""Seconds for one read or write on the socket: 2,000 instances take 0.1 s, a busy 1.12 with a large index some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArchiveConnection:
    """One archive's REST API. `ca_file`, `client_cert` and `client_key` are paths of PEM files; empty means unset."""

    name: ArchiveName
    url: str
    username: str = ""
    password: str = ""
    token: str = ""
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    verify_tls: bool = True
    timeout: float = DEFAULT_TIMEOUT

    def __repr__(self) -> str:
        return f"ArchiveConnection(name={self.name!r}, url={self.address!r})"

    @property
    def address(self) -> str:
        """The URL as people may see it: without user, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def setting(self, word: str) -> str:
        """The environment variable that holds `word` of this archive, for messages (docs/settings.md)."""
        return f"SYNCD_ARCHIVES__{self.name.upper()}__{word}"

    def tls(self) -> ssl.SSLContext:
        """The TLS context; `ConfigurationError` names the setting whose file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{self.setting('CA_FILE')}: not a readable PEM file of certificates") from error
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert:
            try:
                context.load_cert_chain(self.client_cert, self.client_key or None)
            except (OSError, ssl.SSLError) as error:
                both = f"{self.setting('CLIENT_CERT')} and {self.setting('CLIENT_KEY')}"
                raise ConfigurationError(f"{both}: not a readable certificate with its key") from error
        return context
