"""A file of private keys: read, and replaced as a whole.

It keeps its owner and mode: the daemon, which reads it again for each token, never meets half of one, and may be another
user than the operator.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from syncd.auth.keys import BadKeys, SigningKey, private_set, read_keys
from syncd.errors import ConfigurationError


def read_key_file(file: Path) -> tuple[SigningKey, ...]:
    """Its keys, in their order. Raises `ConfigurationError`."""
    try:
        return read_keys(file.read_text(encoding="utf-8"))
    except BadKeys as bad:
        raise ConfigurationError(f"{file} {bad}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is no key file") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None


def write_key_file(file: Path, keys: Sequence[SigningKey]) -> None:
    """Exactly these keys; a new file is its owner's only. Raises `ConfigurationError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # of mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(private_set(keys))
                stream.flush()
                os.fsync(stream.fileno())
            if file.exists():
                before = file.stat()
                os.chmod(partial, before.st_mode & 0o777)
                os.chown(partial, before.st_uid, before.st_gid)
            os.replace(partial, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
