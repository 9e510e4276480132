"""dicom2fhir on the same files, run by a Python that has it: `PYTHON benchmarks/baseline_dicom2fhir.py FOLDER FHIR_URL`.

`FOLDER` has a folder for each study. The files lie on the disk already, which no archive can promise: nothing is read
from Orthanc. What it makes of a study, a transaction Bundle, is sent as it is, one after the other. Nothing of ours is
imported: it runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from dicom2fhir import dicom2fhir  # type: ignore[import-not-found]


def main(folder: str, fhir: str) -> int:
    """Prints studies, seconds in all and seconds without sending, as JSON."""
    logging.disable(logging.CRITICAL)
    at = urlsplit(fhir)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=300)
    studies = sorted(Path(folder).iterdir())
    began, sending = time.perf_counter(), 0.0
    for study in studies:
        bundle = asyncio.run(dicom2fhir.from_directory(study, {"dicom_timezone": "Europe/Berlin"}))
        body = bundle.json().encode()
        sent = time.perf_counter()
        connection.request("POST", at.path, body=body, headers={"Content-Type": "application/fhir+json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the bundle was answered {answer.status}: {content[:300]!r}")
        sending += time.perf_counter() - sent
    seconds = time.perf_counter() - began
    print(json.dumps({"studies": len(studies), "seconds": seconds, "making": seconds - sending}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
