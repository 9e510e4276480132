"""Credentials that change while syncd runs: tokens in a file, and tokens of an authorization server.

Each is asked for the headers of every request, by every worker thread, and told of a 401 (`syncd.http.headers`). None
says in its `repr` what it holds.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

from syncd.auth.place import Place
from syncd.auth.secret_file import SecretFile
from syncd.auth.tokens import Tokens

_VISIBLE = re.compile(r"[!-~]+")
"""More than RFC 6750 2.1 allows: what a server calls a token is its business, as long as a header can carry it."""


class TokenFile:
    """A bearer token that somebody else gets and writes into a file."""

    def __init__(self, file: SecretFile, *, place: Place) -> None:
        self._file = file
        self._place = place
        self._sent = threading.local()

    def headers(self) -> Mapping[str, str]:
        self._sent.value = self._token()
        return {"Authorization": f"Bearer {self._sent.value}"}

    def refused(self) -> bool:
        """Once more if the file holds another token by now."""
        return bool(self._token() != self._sent.value)

    def _token(self) -> str:
        value = self._file.read()
        if not _VISIBLE.fullmatch(value):
            setting = self._place.setting("TOKEN_FILE")
            raise self._place.refusal(f"{setting}: the file holds a blank or a character outside ASCII")
        return value


class Granted:
    """Tokens of an authorization server."""

    def __init__(self, tokens: Tokens, *, place: Place) -> None:
        self.tokens = tokens
        self.place = place
        self._sent = threading.local()

    def headers(self) -> Mapping[str, str]:
        self._sent.value = self.tokens.current().token.value
        self._sent.times = getattr(self._sent, "times", 0) + 1
        return {"Authorization": f"Bearer {self._sent.value}"}

    def refused(self) -> bool:
        """Once more with another token: it may have been revoked, or be over by that server's clock. Raises what the
        operator must settle where the other one is refused at once, too: it is for somebody else."""
        is_another = getattr(self._sent, "was_refused", False) and self._sent.times == 1
        self._sent.was_refused, self._sent.times = not is_another, 0
        last = self.tokens.last
        self.tokens.forget(self._sent.value)
        if not is_another or last is None or last.token.value != self._sent.value:
            return True
        audience = last.token.audience
        meant = f"it is for {audience}" if audience else "it does not say for whom it is"
        raise self.place.refusal(
            f"A token that was fetched a moment ago is refused by {self.place.whose} (401); {meant}, from {last.endpoint}: "
            f"check {self.place.setting('AUDIENCE')}, {self.place.setting('SCOPE')}, and whether it trusts that server",
            status=401,
        )
