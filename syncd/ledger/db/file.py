"""Where the ledger's file lies, and who owns it.

One process owns a ledger for life: `flock` on `<ledger>.lock`, released by the kernel however the process ends (RULES
E4). One thing must not be touched: the database file itself is never opened here, because closing any descriptor of it
drops SQLite's own locks in the whole process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from syncd.errors import ConfigurationError, LedgerRefused

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ncpfs", "ceph", "lustre", "fuse.sshfs", "fuse.glusterfs"}
)
"""File systems whose locks and shared memory cannot be trusted with a database in WAL mode."""

PROBE_PATIENCE = 1.0
"""Seconds to wait for the lock: `owner_alive` of another process holds it, shared, for an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The ledger's file and the files beside it."""

    file: Path

    @property
    def lock(self) -> Path:
        return self.beside(".lock")

    @property
    def new(self) -> Path:
        """Where a new ledger is built before it takes its name: a crash then leaves no half ledger."""
        return self.beside(".new")

    def beside(self, suffix: str) -> Path:
        return self.file.with_name(self.file.name + suffix)

    @property
    def database(self) -> str:
        """The file as SQLite's own address; it is never made by opening it."""
        return f"{self.file.as_uri()}?mode=rw"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlace:
    """A ledger of this process that is forgotten with its last connection: for tests alone."""

    name: str

    @property
    def database(self) -> str:
        return f"file:/{self.name}?vfs=memdb"


def place_of(url: str) -> Place:
    """The file that `url` (`sqlite:////absolute/path`) names. Raises `ConfigurationError` for any other ledger."""
    kind, found, rest = str.__str__(url).partition("://")
    path, options, _ = rest.partition("?")
    if not found:
        raise ConfigurationError("LEDGER__URL is not an address: write sqlite:////path/to/ledger.db")
    if kind != "sqlite":
        raise ConfigurationError(f"LEDGER__URL names {kind}; write sqlite:////path or postgresql://…")
    if path in ("", "/", "/:memory:") or not path.startswith("/") or path.startswith("/file:"):
        raise ConfigurationError("LEDGER__URL names no file: a ledger must survive a restart")
    if options:
        raise ConfigurationError("LEDGER__URL takes no options after '?'")
    return Place(file=Path(path[1:]).absolute())


def missing(place: Place) -> str:
    """What somebody is told who asks a ledger that is not there."""
    return f"there is no ledger at {place.file}: start `syncd run`, or set LEDGER__URL"


def prepare_folder(place: Place) -> None:
    """The ledger's folder exists (mode 0700 where created), can be written and lies on a local file system."""
    folder = place.file.parent
    try:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LedgerRefused(f"{folder} cannot be created ({error.strerror}): create it, or set LEDGER__URL") from error
    if not folder.is_dir():
        raise LedgerRefused(f"{folder} is not a folder: set LEDGER__URL to a file in a folder of its own")
    kind = file_system(folder.resolve(), mounts=_mounts())
    if kind in NETWORK_FILE_SYSTEMS:
        raise LedgerRefused(f"{folder} lies on a network file system ({kind}): set LEDGER__URL to a local disk")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerRefused(f"{folder} cannot be written: give it to the user that runs syncd, or set LEDGER__URL")


def file_system(folder: Path, *, mounts: str) -> str:
    """The type of the file system that holds `folder`, from the text of `/proc/mounts`; empty when it does not tell."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # The kernel writes space, tab, newline and backslash as octal escapes.
        point = Path(fields[1].encode().decode("unicode_escape"))
        # A later line covers an earlier one at the same place.
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def tighten(file: Path) -> None:
    """Take group's and others' rights from `file`; a file of another user is that administrator's decision."""
    with contextlib.suppress(PermissionError):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            file.chmod(mode & 0o700)


class OwnerLock:
    """The right to write this ledger, held until `release` or the end of the process."""

    def __init__(self, place: Place) -> None:
        """Raises `LedgerRefused`, naming the process that holds it."""
        try:
            self._descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerRefused(f"{place.lock} cannot be opened ({error.strerror}): see to its rights") from error
        try:
            self._take(place)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, place: Place) -> None:
        deadline = time.monotonic() + PROBE_PATIENCE
        while not _try_lock(self._descriptor, kind=fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                holder = _pid_in(self._descriptor)
                named = f"process {holder}" if holder else "another process"
                raise LedgerRefused(f"{place.file} is held by {named}: stop it first, or let it do the work")
            time.sleep(0.02)

    def require(self, epoch: int) -> None:
        """Held for life: the kernel takes it from no living process."""

    def release(self) -> None:
        # The file stays: removing it would let two processes hold locks on two files of one name.
        os.close(self._descriptor)


def owner_of(place: Place) -> int | None:
    """The process that owns the ledger; `None` when nobody does, 0 when it cannot be named."""
    try:
        descriptor = os.open(place.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerRefused(f"{place.lock} cannot be read ({error.strerror}): see to its rights") from error
    try:
        return None if _try_lock(descriptor, kind=fcntl.LOCK_SH) else _pid_in(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise LedgerRefused(f"the ledger's file system cannot lock ({error.strerror}): set LEDGER__URL") from error
    return True


def _pid_in(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
