"""How one server is reached, as plain values; the settings fill them in.

Such a value ends up in tracebacks and logs: its `repr` names the server and where it listens, never a credential, also
not one that was written into the URL.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import urlsplit

from syncd.errors import ConfigurationError
from syncd.http.headers import Credentials, Fixed, basic, bearer

LONGEST = 10
"""A request may take this many timeouts as a whole, from its connection to the last byte of its answer. Each pause may
take one: an honest server that has much to tell needs several, one that drips a byte now and then would need for ever."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Connection(ABC):
    """One server. `ca_file`, `client_cert` and `client_key` are paths of PEM files; empty means unset. `timeout` is in
    seconds, for connecting and for each pause. `authorization` stands for user name, password and token where it is given.
    """

    url: str
    username: str = ""
    password: str = ""
    token: str = ""
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    verify_tls: bool = True
    timeout: float
    authorization: Credentials | None = None

    @property
    @abstractmethod
    def server(self) -> str:
        """The server as errors name it (`syncd.errors.Transient.server`)."""

    @property
    @abstractmethod
    def name_told(self) -> str:
        """The server at the beginning of a message."""

    @property
    @abstractmethod
    def software(self) -> str:
        """What should be running there, in a question."""

    @abstractmethod
    def setting(self, word: str) -> str:
        """The environment variable that holds `word` of this server, for messages (docs/settings.md)."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server={self.server!r}, url={self.address!r})"

    @property
    def address(self) -> str:
        """The URL as people may see it: without user, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")

    @property
    def who(self) -> str:
        """The server and where it listens, for the beginning of a message."""
        return f"{self.name_told} ({self.address})"

    @property
    def longest(self) -> float:
        """Seconds that one request may take as a whole."""
        return self.timeout * LONGEST

    def credentials(self) -> Credentials:
        """Who we are for this server."""
        if self.authorization is not None:
            return self.authorization
        if self.token:
            return bearer(self.token)
        return basic(self.username, self.password) if self.username and self.password else Fixed()

    def tls(self) -> ssl.SSLContext:
        """The TLS context, 1.2 and later; `ConfigurationError` names the setting whose file cannot be used.

        Loading the system's authorities costs 30 ms of CPU; where the address is not https, nobody is trusted instead."""
        try:
            if self.ca_file or self.url.lower().startswith("https:"):
                context = ssl.create_default_context(cafile=self.ca_file or None)
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{self.setting('CA_FILE')}: not a readable PEM file of certificates") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert:
            try:
                # A password that cannot be right: a key that wants one would ask for it at the terminal.
                context.load_cert_chain(self.client_cert, self.client_key or None, password="")
            except (OSError, ssl.SSLError) as error:
                both = f"{self.setting('CLIENT_CERT')} and {self.setting('CLIENT_KEY')}"
                raise ConfigurationError(f"{both}: not a readable certificate with its key") from error
        return context
