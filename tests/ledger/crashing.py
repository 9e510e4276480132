"""A process that works on a ledger until it is killed, saying each step after it was committed."""

from __future__ import annotations

import sys
import threading

from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision
from tests.ledger.studies import NOW, SETTLE, Clock, copy, done, event, position, record


def follow(ledger: Ledger, start: int) -> None:
    for cursor in range(start + 1, sys.maxsize):
        uid = f"1.{cursor}"
        seen = range(max(1, cursor - 20), cursor + 1)
        ledger.commit_intake(
            position(cursor, seen=seen), marks=[event(uid)], copies=[copy(uid, f"o{cursor}")], settle_after=SETTLE
        )
        print("taken", uid, flush=True)


def work(ledger: Ledger) -> None:
    while True:
        for claim in ledger.claim(2, now=NOW):
            uid = claim.row.study_uid
            ledger.commit(done(claim, Decision.CREATE, record=record(uid)))
            print("published", uid, flush=True)


if __name__ == "__main__":
    opened = Ledger.open(sys.argv[1], clock=Clock(NOW))
    last = opened.feed_position(position(0).archive)
    threading.Thread(target=work, args=(opened,), daemon=True).start()
    follow(opened, last.cursor if last else 0)
