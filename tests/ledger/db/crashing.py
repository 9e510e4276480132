"""A process that works on a ledger until it is killed, saying each step after it was committed."""

from __future__ import annotations

import os
import sys
import threading

from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision
from tests.ledger.made import NOW, SETTLE, Clock, copy, done, event, position, record


def say(word: str, uid: str) -> None:
    """One write of one line: two threads speak, and `print` writes its newline separately."""
    os.write(sys.stdout.fileno(), f"{word} {uid}\n".encode())


def follow(ledger: Ledger, start: int) -> None:
    for cursor in range(start + 1, sys.maxsize):
        uid = f"1.{cursor}"
        seen = range(max(1, cursor - 20), cursor + 1)
        ledger.feed.commit_intake(
            position(cursor, seen=seen), marks=[event(uid)], copies=[copy(uid, f"o{cursor}")], settle_after=SETTLE
        )
        say("taken", uid)


def work(ledger: Ledger) -> None:
    while True:
        for claim in ledger.claims.take(2, now=NOW):
            uid = claim.row.study_uid
            ledger.outcomes.commit(done(claim, Decision.CREATE, record=record(uid)))
            say("published", uid)


if __name__ == "__main__":
    opened = Ledger.open(sys.argv[1], clock=Clock(NOW))
    last = opened.feed.position(position(0).archive)
    threading.Thread(target=work, args=(opened,), daemon=True).start()
    follow(opened, last.cursor if last else 0)
