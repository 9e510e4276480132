"""The tests' servers in memory as a process of their own: `python -m benchmarks.site.fakes STUDIES` prints their
addresses as JSON.

They pass the contract suites that real servers pass, and hold as many studies as memory does; it is not their time that
is told then, but syncd's own. They end when their standard input does.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable

from benchmarks.site.shapes import STUDIES_PER_PATIENT, new_run, series_uid, study_uid
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import FakeServer, listening
from tests.loop.world import ShortOrthanc

STABLE_LONG_AGO = 3600.0
AT_ONCE = 50
"""Studies unstable at a time: the archive looks through all of them at each request."""


def main(studies: int) -> int:
    """Serve until standard input ends."""
    times = {"back": STABLE_LONG_AGO}
    orthanc = ShortOrthanc("1.10.1", clock=lambda: time.time() - times["back"])
    fill(orthanc, studies=studies, settle=lambda: times.update(back=times["back"] - 2.0 * orthanc.stable_age))
    times["back"] = 0.0
    orthanc.tick()
    fhir = FakeFhir("r4", clock=time.time)
    _forgetful(orthanc, fhir)
    with listening(orthanc) as archive, listening(fhir) as target:
        print(json.dumps({"archive": archive, "fhir": target}), flush=True)
        sys.stdin.read()
    return 0


def fill(orthanc: ShortOrthanc, *, studies: int, settle: Callable[[], None]) -> None:
    """Studies of one instance, all stable."""
    run = new_run()
    for study in range(studies):
        orthanc.store(
            StudyInstanceUID=study_uid(run, study),
            SeriesInstanceUID=series_uid(run, study, 0),
            Modality="CT",
            StudyDate="20240102",
            PatientID=f"BENCH-{study // STUDIES_PER_PATIENT:07d}",
            PatientName="Synthetic^Sam",
            SeriesNumber="1",
            InstanceNumber="1",
        )
        if study % AT_ONCE == 0:
            settle()


def _forgetful(*servers: FakeServer) -> None:
    """They remember every request for the tests; here that would be all their memory."""
    for server in servers:
        server.requests = deque(maxlen=1)  # type: ignore[assignment]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
