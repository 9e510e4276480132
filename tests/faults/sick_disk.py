"""The real `syncd` on a disk that fills up, or turns read-only, and recovers, when it is told so.

    python -m tests.faults.sick_disk FIFO -- run

Each line written to FIFO is a statement for the connection that writes the ledger: `PRAGMA max_page_count = 1` lets its
file grow no more, `PRAGMA query_only = ON` lets nothing be written. SQLite then says what it says of a real disk, and so
a test needs neither a file system of its own nor the right to make one.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from syncd.cli.app import main
from syncd.ledger.ledger import Ledger

FULL = ("PRAGMA max_page_count = 1",)
READ_ONLY = ("PRAGMA query_only = ON",)
WELL = ("PRAGMA query_only = OFF", "PRAGMA max_page_count = 1073741823")


def _obey(ledger: Ledger, fifo: Path) -> None:
    while True:
        for statement in fifo.read_text(encoding="utf-8").splitlines():
            # Past the writer: it cannot even begin a transaction while nothing may be written.
            connection: sqlite3.Connection = ledger._writer._connection.connection.driver_connection  # type: ignore[assignment]
            connection.execute(statement)
            with fifo.with_suffix(".done").open("a", encoding="utf-8") as done:
                done.write(f"{statement}\n")


def _opened_sick(fifo: Path) -> None:
    opened = Ledger.open.__func__  # type: ignore[attr-defined]

    def open_(cls: type[Ledger], url: str, **wanted: Any) -> Ledger:
        ledger: Ledger = opened(cls, url, **wanted)
        threading.Thread(target=_obey, args=(ledger, fifo), daemon=True).start()
        return ledger

    Ledger.open = classmethod(open_)  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    file, _, *command = sys.argv[1:]
    _opened_sick(Path(file))
    sys.argv = ["syncd", *command]
    main()
