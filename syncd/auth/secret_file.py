"""A secret in a file that its owner replaces from time to time: read again when the file has changed."""

from __future__ import annotations

import threading
from pathlib import Path

from syncd.auth.place import Place

LARGEST = 65_536
"""Bytes; a larger one is some other file, named by mistake."""


class SecretFile:
    """`setting` is the word of the setting that names the file, for messages. Safe for several threads."""

    def __init__(self, path: Path, *, setting: str, place: Place) -> None:
        self._path = path
        self._setting = setting
        self._place = place
        self._guard = threading.Lock()
        self._state: tuple[int, int, int] | None = None
        self._text = ""

    def __repr__(self) -> str:
        return f"SecretFile({str(self._path)!r})"

    def read(self) -> str:
        """Its content without the last line break, as it is now. One that cannot be read for a moment, because it is being
        replaced, counts as it was. Raises what the operator must mend where it never could be read."""
        with self._guard:
            try:
                found = self._path.stat()
                state = (found.st_mtime_ns, found.st_size, found.st_ino)
                if state != self._state:
                    self._text, self._state = self._content() or self._text, state
            except OSError as error:
                if not self._text:
                    raise self._refusal(f"cannot be read: {error.strerror}") from None
            if not self._text:
                raise self._refusal("is empty, or no text")
            return self._text

    def _content(self) -> str:
        with self._path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            return ""
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            return ""

    def _refusal(self, why: str) -> Exception:
        return self._place.refusal(f"{self._place.setting(self._setting)}: {self._path} {why}")
