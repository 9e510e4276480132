"""What a file can suffer: damage, strangers, rights, a full disk (SQLite)."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError, LedgerRefused, LedgerUnavailable
from syncd.ledger.db import file as places
from syncd.ledger.db.file import file_system, place_of
from syncd.ledger.ledger import Ledger
from tests.ledger.made import NOW, Clock, done, event, mark, only, record


@pytest.fixture
def url(file_url: str) -> str:
    return file_url


@pytest.fixture
def file(ledger: Ledger, url: str) -> Path:
    """A closed ledger with some hundred studies in it."""
    mark(ledger, *(event(f"1.{number}") for number in range(300)))
    for claim in ledger.claims.take(300, now=NOW):
        if claim.row.study_uid.endswith("7"):
            ledger.outcomes.commit(done(claim, record=record(claim.row.study_uid)))
    ledger.close()
    return place_of(url).file


def sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_files_are_for_nobody_else(tmp_path: Path) -> None:
    """docs/operation.md: mode 0600; a folder that we make 0700. Rights that were loosened are taken back."""
    folder = tmp_path / "state" / "syncd"
    url = f"sqlite:///{folder}/ledger.db"
    with Ledger.open(url) as ledger:
        mark(ledger, event("1.1"))
        names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert names == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    (folder / "ledger.db").chmod(0o644)
    with Ledger.open(url):
        assert stat.S_IMODE((folder / "ledger.db").stat().st_mode) == 0o600


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def stub(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def scratched(file: Path) -> None:
    """One page that opening the ledger would not read by itself."""
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = bytes(range(256)) * (size // 256)
    file.write_bytes(content)


def text(file: Path) -> None:
    file.write_text("cursor = 12\n" * 500)


def stranger(file: Path) -> None:
    file.unlink()
    sql(file, "CREATE TABLE alembic_version (version_num TEXT)")


def newer(file: Path) -> None:
    sql(file, "UPDATE alembic_version SET version_num = '9999'")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (emptied, "empty"),
        (cut, "damaged"),
        (stub, "not a database|damaged|not a ledger"),
        (scratched, "damaged"),
        (text, "not a database"),
        (stranger, "not a ledger of syncd"),
        (newer, "newer syncd"),
        (folder, "not a file"),
    ],
)
def test_a_file_that_is_no_whole_ledger_is_refused_and_left_as_it_is(
    file: Path, url: str, harm: Callable[[Path], None], says: str
) -> None:
    """README.md, exit 4; RULES E7: never silently a new, empty ledger."""
    harm(file)
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(LedgerRefused, match=says):
        Ledger.open(url)
    assert (file.read_bytes() if file.is_file() else b"") == before
    assert Ledger.owner_alive(url) is None, "a refusal lets go of the lock"


@pytest.mark.parametrize("harm", [emptied, text, stranger, newer])
def test_a_guest_is_refused_the_same(file: Path, url: str, harm: Callable[[Path], None]) -> None:
    """README.md, exit 4."""
    harm(file)
    with pytest.raises(LedgerRefused):
        Ledger.open_guest(url)


def test_a_guest_does_not_make_a_ledger(tmp_path: Path) -> None:
    """`status` before the first `run`."""
    with pytest.raises(LedgerRefused, match="no ledger"):
        Ledger.open_guest(f"sqlite:///{tmp_path}/ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_beside_its_journal_is_no_first_start(file: Path, url: str) -> None:
    """RULES E7: somebody moved the file and left the -wal: an empty ledger would be wrong twice."""
    file.rename(file.with_name("moved.db"))
    file.with_name("ledger.db-wal").write_bytes(b"committed")
    with pytest.raises(LedgerRefused, match="-wal"):
        Ledger.open(url)
    assert not file.exists()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:////tmp/l.db?mode=ro", "mysql://host/l", "ledger.db"]
)
def test_an_address_that_names_no_file_is_a_mistake_in_the_settings(url: str) -> None:
    """docs/settings.md: LEDGER__URL, exit 2."""
    with pytest.raises(ConfigurationError, match="LEDGER__URL"):
        Ledger.open(url)


MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/sdb1 /srv/local xfs rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
tmpfs /srv/twice tmpfs rw 0 0
server:/x /srv/twice nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/syncd", "ext4"),
        ("/srv/syncd", "nfs4"),
        ("/srvother", "ext4"),
        ("/srv/local/syncd", "xfs"),
        ("/mnt/with space/x", "cifs"),
        ("/srv/twice", "nfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    """docs/operation.md: a network file system is refused."""
    assert file_system(Path(path), mounts=MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """docs/settings.md: LEDGER__URL."""
    monkeypatch.setattr(places, "_mounts", lambda: f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\n")
    with pytest.raises(LedgerRefused, match=f"network file system \\({kind}\\)"):
        Ledger.open(f"sqlite:///{tmp_path}/deep/ledger.db")


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    """README.md, exit 4: says what to do, for every user, root too."""
    with pytest.raises(LedgerRefused, match="set LEDGER__URL"):
        Ledger.open("sqlite:////proc/nowhere/ledger.db")
    with pytest.raises(LedgerRefused, match=r"set LEDGER__URL|see to its rights"):
        Ledger.open("sqlite:////proc/ledger.db")


def test_a_full_disk_is_said_and_survived(url: str) -> None:
    """RULES C6: nothing is lost but the write itself, and writing goes on by itself when there is space again."""
    with Ledger.open(url, clock=Clock(NOW), max_pages=60) as ledger:
        mark(ledger, event("1.0"))
        with pytest.raises(LedgerUnavailable, match="disk of the ledger is full"):
            mark(ledger, *(event(f"1.{number}") for number in range(20_000)))
        assert ledger.overview.counts(NOW).dirty == 1
        claim = only(ledger)
        with pytest.raises(LedgerUnavailable, match="full"):
            ledger.outcomes.commit(done(claim, record=record("1.0", raw={"labels": "x" * 500_000})))
        assert ledger.records.find("1.0") is None
        ledger._writer.run(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count = 100000"))
        assert not ledger.outcomes.commit(done(claim, record=record("1.0", raw={"labels": "x" * 500_000})))
        assert mark(ledger, *(event(f"1.{number}") for number in range(20_000))) == 20_000


def test_a_ledger_that_became_read_only_is_said_and_survived(url: str) -> None:
    """docs/cases.md; RULES C6: told in words; the study is still to be done, and is done when the ledger may be written."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        mark(ledger, event("1.0"))
        claim = only(ledger)
        ledger._writer.run(lambda tx: tx.connection.exec_driver_sql("PRAGMA query_only = ON"))
        with pytest.raises(LedgerUnavailable, match="ledger is read-only"):
            mark(ledger, event("1.1"))
        with pytest.raises(LedgerUnavailable, match="ledger is read-only"):
            ledger.outcomes.commit(done(claim, record=record("1.0")))
        assert (ledger.records.find("1.0"), ledger.overview.counts(NOW).dirty) == (None, 1)
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        assert not ledger.outcomes.commit(done(only(ledger), record=record("1.0")))
        assert mark(ledger, event("1.1")) == 1
