"""What the tests plant where syncd meets it, patients and secrets, and how it is found again in what syncd says (RULES S1).

Studies and settings of the suites are built of these, so that a search for them means something: each is a word that stands
nowhere by chance. The difficulty is the forms: a password in an address is escaped, in JSON another way, and as `Basic` it
is base64; a person's name is written by DICOM with carets and by FHIR in parts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

PATIENT = {
    "PatientName": "Quagmire^Zebulon^Xerxes",
    "PatientBirthDate": "19370311",
    "ReferringPhysicianName": "Whistlethwaite^Adalbert",
}
SAM = "Synthetic^Sam"
"""The patient of studies of which a test cares for something else."""

ORTHANC_PASSWORD = "a password: with spaces"
POSTGRES_PASSWORD = "p@ss: wörd/%41?"
"""A password that breaks every address in which it is not escaped."""
ARCHIVE_PASSWORD = "planted-password-of-the-archive"
FHIR_TOKEN = "planted-token-of-the-fhir-server"
FHIR_PASSWORD = "hunter2-of-the-fhir-server"
SCRIPTED_PASSWORD = "pass-1234"
CLIENT_SECRET = "a secret: with spaces & signs"
OAUTH_SECRET = "planted:secret with % & blanks"
"""Each is escaped in a form, and again another way in `Basic` (RFC 6749 2.3.1)."""
WEB_TOKEN = "s3cret-of-the-web-room"
SECRETS = (
    ORTHANC_PASSWORD,
    POSTGRES_PASSWORD,
    ARCHIVE_PASSWORD,
    FHIR_TOKEN,
    FHIR_PASSWORD,
    SCRIPTED_PASSWORD,
    CLIENT_SECRET,
    OAUTH_SECRET,
    WEB_TOKEN,
    "HUNTER2",
)
ACCOUNTS = tuple(f"{user}:{secret}" for user in ("syncd", "syncd-test", "user") for secret in SECRETS)

NAMES = ("Quagmire", "Zebulon", "Whistlethwaite", "Adalbert", "Hello^Anna", "World^Bert", "Doe^Jane", "DOE^JANE", SAM)
DATES = ("19370311", "1937-03-11")

PATTERNS = (
    ("number of a patient", "PID-", re.compile(r"(?<![\w.])PID-\d{9}(?![\w.])")),
    ("accession number", "ACC-", re.compile(r"(?<![\w.])ACC-\d{9}(?![\w.])")),
    ("private key", "PRIVATE KEY-----", re.compile(r"-----BEGIN (?:\w+ )?PRIVATE KEY-----")),
    ("token or assertion", "eyJ", re.compile(r"(?<!\w)eyJ[\w-]{8,}\.eyJ[\w-]{8,}")),
)
"""What is made anew each time has a form: (what it is, what stands in it for certain, the form). The last is a JWT
(RFC 7519): its first two parts are JSON objects in base64url."""


class Find(NamedTuple):
    """Something planted that was found. It is shown so that its planter knows it, and nobody else: the log of a test run is
    read by many."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value[:2]}… (SHA-256 {hashlib.sha256(self.value.encode()).hexdigest()[:8]})"


def find_planted(text: str) -> Iterator[Find]:
    """Whatever of the above stands in the text, as a word of its own."""
    for kind, form, pattern, value in _FORMS:
        if form in text and pattern.search(text):
            yield Find(kind, value)
    for kind, certain, pattern in PATTERNS:
        found = pattern.search(text) if certain in text else None
        if found:
            yield Find(kind, found.group())


def _forms() -> Iterator[tuple[str, str, re.Pattern[str], str]]:
    kinds = {"secret": SECRETS, "name": NAMES, "date of birth": DATES}
    for kind, values in kinds.items():
        for value in values:
            for form in {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}:
                yield kind, form, re.compile(rf"(?<![\w.]){re.escape(form)}(?![\w.])"), value
    for account in ACCOUNTS:
        form = base64.b64encode(account.encode()).decode()
        yield "account", form, re.compile(re.escape(form)), account


_FORMS = tuple(_forms())
