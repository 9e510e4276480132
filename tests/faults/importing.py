"""An import under faults: studies that keep coming, a syncd between real servers, and what must be true afterwards.

Half of the studies lie in the archive when syncd starts, half arrive under its eyes, so that both ways of finding one are
disturbed. What the ledger holds in the end is read by SQL alone, past every line of syncd's.
"""

from __future__ import annotations

import random
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from tests.real.installation import Installation, study

MOST_VERSIONS = 3
"""`registered`, `available`, and at most one more. A write that is repeated after a fault must not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """`studies`: StudyInstanceUID → its files, one or two."""

    site: Installation
    studies: dict[str, list[bytes]]

    @classmethod
    def of(cls, site: Installation, *, number: int) -> Import:
        """So many studies of so many patients, named after the installation."""
        made = (study(f"{site.name} {place}", instances=1 + place % 2) for place in range(number))
        return cls(site=site, studies=dict(made))

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """The first half is there; the second half arrives from here on, and all of it is there when the block is left."""
        half = len(self.studies) // 2
        files = list(self.studies.values())
        for each in files[:half]:
            self.site.send(*each)
        sender = threading.Thread(target=lambda: [self.site.send(*each) for each in files[half:]])
        sender.start()
        try:
            yield
        finally:
            sender.join()

    @property
    def written(self) -> int:
        """How many writes of ImagingStudies passed the proxy so far, alone or in a transaction, whatever became of them."""
        proxy = self.site.before_fhir
        bundles = [one.json for one in proxy.exchanges(method="POST", path="/fhir/?$") if isinstance(one.json, dict)]
        entries = [str(entry["request"]["url"]) for bundle in bundles for entry in bundle.get("entry", ())]
        together = sum(url.startswith("ImagingStudy/") for url in entries)
        return proxy.count(method="PUT", path="/ImagingStudy/") + together

    def published(self) -> int:
        """How many studies the ledger calls available."""
        (row,) = self._rows("SELECT count(*) AS n FROM records WHERE status = 'available'")
        return int(row["n"])

    def complete(self, *, timeout: float = 120.0) -> None:
        """Wait until every study is published whole, and nothing is left to do."""
        site, number = self.site, len(self.studies)
        site.syncd.wait(
            lambda: self.published() == number and not self._rows("SELECT study_uid FROM dirty"),
            what=f"all of {number} published",
            timeout=timeout,
        )

    def check(self) -> None:
        """The oracle agrees, nothing is left behind, and nothing was written more often than it had to be."""
        report = self.site.assert_equal()
        assert sorted(report.compared) == sorted(self.studies)
        for table in ("dirty", "parked", "intents", "retraction_plan", "retraction_charges"):
            assert self._rows(f"SELECT * FROM {table}") == [], table
        records = self._rows('SELECT study_uid, version, "foreign" FROM records')
        assert {one["foreign"] for one in records} == {"{}"}, "something of ours became foreign"
        found = {one["id"]: one["meta"]["versionId"] for one in self.site.published().values()}
        assert found == {one["study_uid"]: one["version"] for one in records}
        often = {one: version for one, version in found.items() if int(version) > MOST_VERSIONS}
        assert not often, "written too often"

    def _rows(self, query: str) -> list[dict[str, object]]:
        file = re.sub("^sqlite:///", "", self.site.syncd.ledger_url)
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as ledger:
            ledger.row_factory = sqlite3.Row
            return [dict(row) for row in ledger.execute(query)]


def moments(seed: int, *, number: int, within: int) -> list[int]:
    """`number` different moments of an import of `within` studies: after how many writes; in order."""
    return sorted(random.Random(seed).sample(range(1, within), number))
