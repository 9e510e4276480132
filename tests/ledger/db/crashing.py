"""A process that works on a ledger until it is killed, saying each step after it was committed."""

from __future__ import annotations

import os
import sys
import threading

from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision
from syncd.model.work import Companion, Intent
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
    """Batches as large as there are: the Patients of a batch go with its intents."""
    while True:
        claims = ledger.claims.take(20, now=NOW)
        for claim in claims:
            uid = claim.row.study_uid
            written = Companion(resource_type="Patient", resource_id=uid, version="1", digest="d")
            ledger.companions.save(written, later=True)
        ledger.claims.save_intents([_intent(claim.row.study_uid) for claim in claims])
        for claim in claims:
            say("intended", claim.row.study_uid)
        ledger.outcomes.commit_many([done(claim, Decision.CREATE, record=record(claim.row.study_uid)) for claim in claims])
        for claim in claims:
            say("published", claim.row.study_uid)


def _intent(uid: str) -> Intent:
    return Intent(study_uid=uid, resource_id=uid, digest="d", expected_version="0")


if __name__ == "__main__":
    opened = Ledger.open(sys.argv[1], clock=Clock(NOW))
    last = opened.feed.position(position(0).archive)
    threading.Thread(target=work, args=(opened,), daemon=True).start()
    follow(opened, last.cursor if last else 0)
