"""What a PostgreSQL can bring along: refusals, strangers, a lock that is lost, a proxy (RULES E4, E7)."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from deploy.native.process import free_port
from syncd.errors import ConfigurationError, LedgerRefused, LedgerUnavailable
from syncd.ledger.db import postgresql, session_lock
from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision
from tests.ledger.db.pooler import pooling
from tests.ledger.made import NOW, Clock, done, event, mark, only, record
from tests.postgres import PASSWORD, ROLE, Postgres, running

pytestmark = pytest.mark.real


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    address = postgres.new_database()
    yield address
    postgres.drop(address)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who holds the ledger is about to let it go."""
    monkeypatch.setattr(session_lock, "PATIENCE", 0.0)


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


def run(postgres: Postgres, url: str, *statements: str) -> None:
    with postgres.admin(name_of(url)) as admin:
        for statement in statements:
            admin.execute(statement)


def wrong_password(postgres: Postgres, url: str) -> str:
    return postgres.address(name_of(url), password="wrong" + PASSWORD)


def nobody(postgres: Postgres, url: str) -> str:
    return postgres.address(name_of(url), user="nobody")


def no_database(postgres: Postgres, url: str) -> str:
    return postgres.address("not_there")


def no_schema(postgres: Postgres, url: str) -> str:
    run(postgres, url, f"ALTER ROLE {ROLE} IN DATABASE {name_of(url)} SET search_path = 'nowhere'")
    return url


def not_allowed(postgres: Postgres, url: str) -> str:
    run(postgres, url, f"ALTER DATABASE {name_of(url)} OWNER TO admin")
    return url


def of_another_alphabet(postgres: Postgres, url: str) -> str:
    return postgres.new_database(options="ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")


def stranger(postgres: Postgres, url: str) -> str:
    run(postgres, url, f"CREATE TABLE records (a int); ALTER TABLE records OWNER TO {ROLE}")
    return url


def other_program(postgres: Postgres, url: str) -> str:
    run(postgres, url, "CREATE TABLE alembic_version (version_num text)", "GRANT ALL ON alembic_version TO public")
    return url


def an_option(postgres: Postgres, url: str) -> str:
    return f"{url}?sslmoode=require"


def tls(postgres: Postgres, url: str) -> str:
    return f"{url}?sslmode=require"


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (wrong_password, "user or password"),
        (nobody, "user or password"),
        (no_database, "does not exist: create it"),
        (no_schema, "no schema"),
        (not_allowed, "make its user the owner"),
        (of_another_alphabet, "encoding LATIN1"),
        (stranger, "tables of another program"),
        (other_program, "not a ledger of syncd"),
        (an_option, "an option that PostgreSQL does not know"),
        (tls, "offers no TLS"),
    ],
)
def test_a_database_that_cannot_be_a_ledger_is_refused_in_words(
    postgres: Postgres, url: str, harm: Callable[[Postgres, str], str], says: str
) -> None:
    """README.md, exit 4: what to do, and never a password (RULES S1); nothing is left that keeps the next one out."""
    wrong = harm(postgres, url)
    with pytest.raises(LedgerRefused, match=says) as refused:
        Ledger.open(wrong)
    told = "".join(traceback.format_exception(refused.value))
    assert PASSWORD not in told
    assert "p%40ss" not in told


def test_a_server_that_is_not_there_is_unavailable(postgres: Postgres) -> None:
    """README.md, exit 4: the daemon's supervisor starts it again."""
    with pytest.raises(LedgerUnavailable, match="is it running"):
        Ledger.open(postgres.address("ledger", port=free_port()))


@pytest.mark.parametrize("url", ["postgresql://db", "postgresql+psycopg2://db/ledger", "postgresql+asyncpg://db/ledger"])
def test_an_address_without_database_or_with_a_driver_is_a_mistake_in_the_settings(url: str) -> None:
    """README.md, exit 2."""
    with pytest.raises(ConfigurationError, match="LEDGER__URL"):
        Ledger.open(url)


def test_an_older_postgresql_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL 15 or newer."""
    monkeypatch.setattr(postgresql, "OLDEST", 99)
    with pytest.raises(LedgerRefused, match="99 or newer"):
        Ledger.open(url)


def test_a_database_of_a_newer_syncd_is_refused_and_left_as_it_is(postgres: Postgres, url: str) -> None:
    """RULES E7: to owner and guest alike."""
    Ledger.open(url).close()
    run(postgres, url, "UPDATE alembic_version SET version_num = '9999'")
    for opening in (Ledger.open, Ledger.open_guest):
        with pytest.raises(LedgerRefused, match="newer syncd"):
            opening(url)
    assert Ledger.owner_alive(url) is None


@pytest.mark.parametrize("harm", ["DROP TABLE intents", "DROP TABLE dirty", "TRUNCATE sequences"])
def test_a_ledger_that_lost_a_part_is_refused(postgres: Postgres, url: str, harm: str) -> None:
    """RULES E7: never silently empty."""
    Ledger.open(url).close()
    run(postgres, url, harm)
    for opening in (Ledger.open, Ledger.open_guest):
        with pytest.raises(LedgerRefused, match=r"is missing|not a ledger"):
            opening(url)


def test_a_guest_does_not_make_a_ledger(postgres: Postgres, url: str) -> None:
    """`status` before the first `run`."""
    with pytest.raises(LedgerRefused, match=r"no ledger in postgresql://ledger:\*\*\*@127.0.0.1"):
        Ledger.open_guest(url)
    assert not Ledger.exists(url)


def test_text_is_compared_byte_by_byte_whatever_the_database_does(postgres: Postgres, url: str) -> None:
    """RULES E6: keyset pages are in the order of SQLite and Python, and no index depends on a system's alphabet."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        uids = ["1.2.B", "1.2.a", "1.10", "1.9", "1.2.Ä", "1.2-a"]
        mark(ledger, *map(event, uids))
        assert [row.study_uid for row in ledger.marks.page()] == sorted(uids)
    with postgres.admin(name_of(url)) as admin:
        assert admin.execute("SELECT 'B' < 'a'").fetchone() == (False,), "this database itself sorts as a dictionary does"


def test_two_processes_that_mark_one_study_both_count(url: str) -> None:
    """RULES E1, E4: the owner and a guest, four threads each: no mark is lost, no generation given twice."""
    with Ledger.open(url, clock=Clock(NOW)) as owner, Ledger.open_guest(url, clock=Clock(NOW)) as guest:
        start = threading.Barrier(8)

        def work(ledger: Ledger) -> None:
            start.wait()
            for number in range(20):
                mark(ledger, event("1.1"), event(f"1.1.{number}"))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, [owner, guest] * 4))
        assert owner.progress.newest_generation() == 160
        assert owner.overview.counts(NOW).dirty == 21 == len(owner.marks.page())


@pytest.mark.usefixtures("impatient")
def test_a_guest_and_a_second_owner_see_who_holds_it(url: str) -> None:
    """RULES E4: a guest marks beside the owner; only the owner may send."""
    with Ledger.open(url, clock=Clock(NOW)) as owner, Ledger.open_guest(url, clock=Clock(NOW)) as guest:
        owner.require_ownership()
        with pytest.raises(LedgerRefused, match="only the ledger's owner"):
            guest.require_ownership()
        with pytest.raises(LedgerRefused, match="held by process"):
            Ledger.open(url)


def test_two_schemas_of_one_database_are_two_ledgers(postgres: Postgres, url: str) -> None:
    """RULES E4: the lock is the schema's."""
    run(postgres, url, f"CREATE SCHEMA other AUTHORIZATION {ROLE}")
    with Ledger.open(url), Ledger.open(f"{url}?options=-csearch_path%3Dother") as other:
        other.require_ownership()


# The lock


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_was_lost_and_that_nobody_took_comes_back(postgres: Postgres, url: str) -> None:
    """RULES E4: an administrator ended the session, nobody owned the ledger in between: the work goes on, claims too."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        mark(ledger, event("1.1"))
        claim = only(ledger)
        assert postgres.end_sessions("owns") == 1
        ledger.require_ownership()
        assert ledger.claims.take(1, now=NOW) == []
        with pytest.raises(LedgerRefused, match="held by process"):
            Ledger.open(url)
        assert not ledger.outcomes.commit(done(claim, Decision.CREATE, record=record("1.1")))


def test_who_lost_the_lock_to_another_owner_sends_and_writes_nothing_any_more(postgres: Postgres, url: str) -> None:
    """RULES E4: `pg_terminate_backend` on the lock's session, and a second daemon that was waiting for it."""
    with Ledger.open(url, clock=Clock(NOW)) as first:
        mark(first, event("1.1"))
        claim = only(first)
        assert postgres.end_sessions("owns") == 1
        with Ledger.open(url, clock=Clock(NOW)) as second:
            for _ in range(2):
                with pytest.raises(LedgerRefused, match="taken the ledger over"):
                    first.require_ownership()
            with pytest.raises(LedgerRefused, match="taken the ledger over"):
                first.outcomes.commit(done(claim, Decision.CREATE, record=record("1.1")))
            assert only(second).row == claim.row
            second.require_ownership()


def test_an_owner_that_came_and_went_is_noticed_too(postgres: Postgres, url: str) -> None:
    """RULES E4: the lock is free, but an epoch began meanwhile: what was read before it may be untrue."""
    with Ledger.open(url, clock=Clock(NOW)) as first:
        postgres.end_sessions("owns")
        Ledger.open(url).close()
        with pytest.raises(LedgerRefused, match="taken the ledger over"):
            first.require_ownership()


def test_a_lock_in_strange_hands_is_waited_for(postgres: Postgres, url: str) -> None:
    """RULES E4: our own dead session may hold it until the server notices: nothing is sent, and nothing is given up."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger, psycopg.connect(url, autocommit=True) as other:
        postgres.end_sessions("owns")
        taken = other.execute(str(session_lock._TAKE).replace(":upper", str(session_lock._CLASS))).fetchone()
        assert taken == (True,)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="another process has the lock"):
                ledger.require_ownership()
        other.close()
        _eventually(ledger.require_ownership)


def test_a_closed_ledger_lets_nothing_be_sent(url: str) -> None:
    """RULES E4: a late thread must not write either."""
    ledger = Ledger.open(url)
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.require_ownership()


def _eventually(ask: Callable[[], None]) -> None:
    for _ in range(200):
        try:
            return ask()
        except LedgerUnavailable:
            threading.Event().wait(0.05)
    raise AssertionError("never")


# The connection


def test_a_server_that_was_restarted_is_found_again() -> None:
    """RULES C6: while it is away that is said; afterwards reading, writing and owning go on by themselves."""
    with running() as server, Ledger.open(server.new_database(), clock=Clock(NOW)) as ledger:
        mark(ledger, event("1.1"))
        assert ledger.overview.counts(NOW).dirty == 1
        server.stop()
        asked: list[Callable[[], Any]] = [
            lambda: mark(ledger, event("1.2")),
            lambda: ledger.overview.counts(NOW),
            ledger.require_ownership,
        ]
        for ask in asked:
            with pytest.raises(LedgerUnavailable, match="is it running"):
                ask()
        server.restart()
        ledger.require_ownership()
        assert mark(ledger, event("1.2")) == 1
        assert ledger.overview.counts(NOW).dirty == 2


def test_a_writing_connection_that_was_cut_costs_nothing(postgres: Postgres, url: str) -> None:
    """RULES C6: it had said nothing yet, so the transaction is begun again by itself."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        mark(ledger, event("1.1"))
        assert postgres.end_sessions("writes") == 1
        assert mark(ledger, event("1.2")) == 1
        postgres.end_sessions("reads")
        assert ledger.overview.counts(NOW).dirty == 2


def test_a_claim_whose_answer_was_lost_is_handed_out_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: the COMMIT happened and its answer never came: told as unavailable, not done twice, and no claim leaks."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        mark(ledger, event("1.1"), event("1.2"), event("1.3"))
        held = ledger.claims.take(1, now=NOW)
        dialect = ledger._writer._connection.dialect
        commit = dialect.do_commit

        def lose(dbapi: Any) -> None:
            commit(dbapi)
            dbapi.driver_connection.close()
            raise psycopg.OperationalError("the connection is lost")

        monkeypatch.setattr(dialect, "do_commit", lose)
        with pytest.raises(LedgerUnavailable, match="during a commit"):
            ledger.claims.take(1, now=NOW)
        monkeypatch.undo()
        assert [claim.row.study_uid for claim in held] == ["1.1"]
        assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW)] == ["1.2", "1.3"]


def test_a_standby_is_said(postgres: Postgres, url: str) -> None:
    """RULES C6: it takes no writes."""
    Ledger.open(url).close()
    run(postgres, url, f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only = on")
    with pytest.raises(LedgerUnavailable, match="standby"):
        Ledger.open(url)


def test_a_ledger_that_another_process_keeps_busy_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: a process that was stopped in the middle of a transaction."""
    monkeypatch.setattr(postgresql, "_SESSION", ("SET lock_timeout = 200",))
    with Ledger.open(url, clock=Clock(NOW)) as ledger, psycopg.connect(url) as other:
        other.execute("SELECT * FROM sequences FOR UPDATE")
        with pytest.raises(LedgerUnavailable, match="busy"):
            mark(ledger, event("1.1"))
        other.rollback()
        assert mark(ledger, event("1.1")) == 1


# The proxy


@pytest.mark.parametrize("sessions", [queue.LifoQueue, queue.Queue])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.timeout(60)
def test_a_proxy_that_pools_transactions_is_refused(
    postgres: Postgres, url: str, sessions: Callable[[], Any], size: int
) -> None:
    """RULES E4: behind it a session's lock protects nothing."""
    Ledger.open(url).close()
    with pooling(url, sessions=sessions(), size=size) as port:
        through = postgres.address(name_of(url), port=port)
        for opening in (Ledger.open, Ledger.open_guest):
            with pytest.raises(LedgerRefused, match="pools transactions"):
                opening(through)
