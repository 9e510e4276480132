"""What the oracle reads of Orthanc: every instance's file, and nothing of what the archive says about it.

One GET per instance, deliberately: the slow way is the way that cannot share a mistake with bulk answers, main tags or
another's decoder. The archive is believed in three things only: what lies in which study and series, whether a study is
stable, and which StudyDescription of several it shows (MAPPING I-62).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import pydicom
import requests
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from tests import oracle_text
from tests import oracle_values as values

TIMEOUT = 60

NOTHING = 9
"""The case in which whatever cannot be told for certain is left out; in cases 0 to 3 it is read in one of the ways."""


class Unreadable(Exception):
    """A server did not give the oracle what it asked for: nothing can be said about equality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """An instance's data set, or an item of one, in the character set of what is around it (PS3.3 C.12.1.1.2)."""

    dataset: Dataset
    charset: tuple[str, ...] = ()
    case: int = 0
    known: dict[int, oracle_text.Reading] = field(default_factory=dict, repr=False)
    doubts: set[int] = field(default_factory=set, repr=False)
    """Attributes, also of items, that were asked for and cannot be told for certain."""

    @classmethod
    def of(
        cls, dataset: Dataset, *, inherited: tuple[str, ...] = (), case: int = 0, doubts: set[int] | None = None
    ) -> Header:
        named = _raw(dataset, 0x00080005)
        terms = () if named is None else tuple(named.decode("latin-1").split("\\"))
        charset = terms if any(one.strip("\0 ") for one in terms) else inherited
        return cls(dataset=dataset, charset=charset, case=case, doubts=set() if doubts is None else doubts)

    def in_case(self, case: int) -> Header:
        return replace(self, case=case)

    def texts(self, tag: int) -> list[str]:
        """The values, cleaned; none where they are missing, empty or untold."""
        told = self._reading(tag).in_case(self.case) or ()
        return [cleaned for part in told if (cleaned := values.clean(part))]

    def text(self, tag: int) -> str:
        """The first value, or nothing."""
        return next(iter(self.texts(tag)), "")

    def untold(self, tag: int) -> bool:
        """There is a value, but in this case nobody knows which."""
        return self._reading(tag).in_case(self.case) is None

    def is_sure(self, tag: int) -> bool:
        """Everybody reads the same, in any case."""
        return self._reading(tag).certain

    def items(self, tag: int) -> list[Header]:
        found = list(self.dataset[tag].value or []) if tag in self.dataset else []
        return [Header.of(item, inherited=self.charset, case=self.case, doubts=self.doubts) for item in found]

    def _reading(self, tag: int) -> oracle_text.Reading:
        if tag not in self.known:
            raw = _raw(self.dataset, tag)
            self.known[tag] = oracle_text.read(raw or b"", self.charset, vr=dictionary_VR(tag))
            self.doubts.update(() if self.known[tag].certain else (tag,))
        return self.known[tag]


def _raw(dataset: Dataset, tag: int) -> bytes | None:
    """The bytes of the file; of a data set made in memory, in UTF-8 what was put into it."""
    element = dataset.get_item(tag)
    if element is None or element.value is None:
        return None
    if isinstance(element.value, bytes):
        return element.value
    several = isinstance(element.value, (list, tuple)) or type(element.value).__name__ == "MultiValue"
    return "\\".join(map(str, element.value if several else [element.value])).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    header: Header

    @property
    def uid(self) -> str:
        return self.header.text(0x00080018)

    @property
    def sop_class(self) -> str:
        return self.header.text(0x00080016)

    @property
    def number(self) -> int | None:
        return values.whole_number(self.header.text(0x00200013))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    instances: tuple[Instance, ...]
    """By number, absent ones last, then UID."""

    @property
    def uid(self) -> str:
        return self.instances[0].header.text(0x0020000E)

    @property
    def headers(self) -> list[Header]:
        return [one.header for one in self.instances]

    @property
    def number(self) -> int | None:
        """What all images that carry one agree on (RULES B9)."""
        found = {values.whole_number(said[0]) for one in self.headers if (said := one.texts(0x00200011))}
        return found.pop() if len(found) == 1 else None

    @property
    def sure_of_number(self) -> bool:
        """All images say it, or none does, or they differ."""
        told = [bool(one.texts(0x00200011)) for one in self.headers]
        return all(told) or not any(told) or self.number is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One Orthanc study. `described`: the StudyDescription that the archive shows."""

    orthanc_id: str
    stable: bool
    series: tuple[Series, ...]
    described: str = ""

    @property
    def uid(self) -> str:
        return self.headers[0].text(0x0020000D)

    @property
    def headers(self) -> list[Header]:
        return [header for series in self.series for header in series.headers]

    def in_case(self, case: int) -> Copy:
        """The same, where what is untold is read in another way."""
        return replace(self, series=tuple(ordered_series(map(_every(case), one.instances)) for one in self.series))


def _every(case: int) -> Any:
    return lambda instance: Instance(header=instance.header.in_case(case))


def ordered_series(instances: Iterable[Instance]) -> Series:
    return Series(instances=tuple(sorted(instances, key=by_number)))


def by_number(one: Instance | Series) -> tuple[bool, int, str]:
    """Sorts by (number, absent ones last, then UID)."""
    return one.number is None, one.number or 0, one.uid


class Archive:
    """Orthanc over plain REST."""

    def __init__(self, url: str, *, auth: tuple[str, str] | None, session: requests.Session | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = session or requests.Session()
        self._session.auth = auth
        self._session.trust_env = False

    def copies(self) -> list[Copy]:
        """Every study; the archive must be at rest while it is read."""
        before = self._json("/statistics")["CountInstances"]
        found = [self._copy(orthanc_id) for orthanc_id in self._json("/studies")]
        read = sum(len(series.instances) for copy in found for series in copy.series)
        if not before == read == self._json("/statistics")["CountInstances"]:
            raise Unreadable(f"the archive changed while it was read ({before} instances, {read} read)")
        return found

    def _copy(self, orthanc_id: str) -> Copy:
        study = self._json(f"/studies/{orthanc_id}")
        return Copy(
            orthanc_id=orthanc_id,
            stable=study["IsStable"],
            series=tuple(sorted(map(self._series, study["Series"]), key=by_number)),
            described=str(study["MainDicomTags"].get("StudyDescription", "")),
        )

    def _series(self, orthanc_id: str) -> Series:
        return ordered_series(map(self._instance, self._json(f"/series/{orthanc_id}")["Instances"]))

    def _instance(self, orthanc_id: str) -> Instance:
        file = self._get(f"/instances/{orthanc_id}/file").content
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a false name of a character set makes pydicom say
            dataset = pydicom.dcmread(BytesIO(file), stop_before_pixels=True, force=True)
        return Instance(header=Header.of(dataset))

    def _json(self, path: str) -> Any:
        return self._get(path).json()

    def _get(self, path: str) -> requests.Response:
        try:
            answer = self._session.get(self._url + path, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise Unreadable(f"Orthanc cannot be read: {type(error).__name__} at {path}") from error
        if not answer.ok:
            raise Unreadable(f"Orthanc answered {answer.status_code} at {path}")
        return answer
