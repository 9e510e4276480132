"""The full tags of chosen instances, and what is done about one that cannot be read (RULES B11).

One file that is lost, damaged or too large must not cost its study, nor the archive the same fruitless work again and
again. Whose fault it is, the neighbours tell: an archive whose disk is away fails with every file and must be waited
for, and only a fault that the study's neighbours do not share is the instance's own. Such an instance is *unread*: the
pass goes on without it, and says so.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from syncd.archive.reading.elements import NotPlain, read_elements
from syncd.archive.rest.routes import Routes
from syncd.errors import SyncdError, TornRead, Transient
from syncd.http.failures import Busy, ReplyTooLarge, ReplyTooLate, ReplyUnreadable
from syncd.model.ids import OrthancId
from syncd.model.study.raw import RawInstance, Tags, Unread

MOST_FRAMES = 20_000
"""An instance of more frames is not asked for its full tags, which hold an item for each frame: 40,000 of a simple slide
are 20 MB and take 5 to 16 s on both versions, 126,280 of a real one 50 MB and 88 s."""

MOST_SLOW = 3
"""Instances of one pass that may be waited for in vain; then no other file of it is asked for."""

TRIED = 3
"""Instances of a series that are tried until the file of one can be read."""

REMEMBERED = 10_000
"""Unread instances that are remembered, so that a next look costs nothing."""

REMEMBERED_FOR = 12 * 3600.0
"""Seconds: the archive may have been slow for a reason of that hour."""

Answer = TypeVar("Answer")

_NUMBER_OF_FRAMES = "0028,0008"
_COSTLY = (Unread.SLOW, Unread.LARGE, Unread.GARBLED)
_QUICK = (Unread.BROKEN, Unread.GARBLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    why: Unread
    elements: Tags
    until: float


class Unreadable:
    """What is known of one archive's instances that cannot be read, by instance and LastUpdate of its study; a memory of
    the process, told by every worker thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[OrthancId, str], _Known] = OrderedDict()

    def find(self, instance_id: OrthancId, *, last_update: str) -> tuple[Unread, Tags] | None:
        with self._guard:
            known = self._known.get((instance_id, last_update))
            return (known.why, known.elements) if known is not None and self._monotonic() < known.until else None

    def keep(self, instance_id: OrthancId, why: Unread, elements: Tags, *, last_update: str) -> None:
        with self._guard:
            until = self._monotonic() + REMEMBERED_FOR
            self._known[instance_id, last_update] = _Known(why=why, elements=elements, until=until)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


class Reader:
    """Reads each instance of one pass once. `unread` are those that could not be read, and why.

    `read` gives the full tags, `mend` makes good those that another call gave. `others_are_served` tells whether the archive
    serves other studies (None: has none), and `still_there` raises what is in the way when it does not even answer for this
    one."""

    def __init__(
        self,
        routes: Routes,
        *,
        read: Callable[[OrthancId], Tags],
        mend: Callable[[OrthancId, Tags], Tags],
        last_update: str,
        known: Unreadable,
        still_there: Callable[[], object],
        others_are_served: Callable[[], bool | None],
    ) -> None:
        self._routes = routes
        self._read = read
        self._mend = mend
        self._last_update = last_update
        self._known = known
        self._still_there = still_there
        self._others_are_served = others_are_served
        self._own_fault = False
        self._slow = 0
        self._found: dict[OrthancId, Tags] = {}
        self.unread: dict[OrthancId, Unread] = {}

    def tags(self, instance: RawInstance) -> Tags:
        """Its full tags; where they cannot be had, the few of `elements`, or nothing."""
        found = self._found.get(instance.orthanc_id)
        if found is None:
            found = self._found[instance.orthanc_id] = self._tags(instance)
        return found

    def _tags(self, instance: RawInstance) -> Tags:
        before = self._known.find(instance.orthanc_id, last_update=self._last_update)
        if before is not None:
            self.unread[instance.orthanc_id], elements = before
            return elements
        why = Unread.FORESEEN if number_of_frames(instance) > MOST_FRAMES else None
        if why is None and self._slow >= MOST_SLOW:
            self.unread[instance.orthanc_id] = Unread.SLOW
            return {}
        if why is None:
            found = self._read_or_reason(instance.orthanc_id)
            if found in _QUICK:  # the network may have spoilt it
                found = self._read_or_reason(instance.orthanc_id)
            if not isinstance(found, Unread):
                return found
            why = found
        self.unread[instance.orthanc_id] = why
        elements = self._elements(instance.orthanc_id) if why is not Unread.BROKEN else {}
        if why in _COSTLY:
            self._known.keep(instance.orthanc_id, why, elements, last_update=self._last_update)
        return elements

    def of_series(self, series_id: OrthancId, ask: Callable[[], Answer]) -> Answer | None:
        """What a call about a whole series answers; None where it has none for a reason of its own, such as a file of it
        that is lost: what only all images can tell is then not known. A series that changed shows in the study's count."""
        if self._known.find(series_id, last_update=self._last_update) is not None:
            return None
        try:
            return ask()
        except (TornRead, Transient) as error:
            why = self._why(error)
        if why in _COSTLY:
            self._known.keep(series_id, why, {}, last_update=self._last_update)
        return None

    def put(self, instance: RawInstance, tags: Tags) -> None:
        """Full tags that a call about its series gave: they are not asked for again."""
        if instance.orthanc_id in self._found or instance.orthanc_id in self.unread:
            return
        with suppress(TornRead, Transient):  # else it is read by itself, where somebody wants it
            self._found[instance.orthanc_id] = self._mend(instance.orthanc_id, tags)

    def _read_or_reason(self, instance_id: OrthancId) -> Tags | Unread:
        try:
            return self._read(instance_id)
        except TornRead as error:
            if not self._routes.is_listed(instance_id):
                raise
            return self._why(error)
        except Transient as error:
            return self._why(error)

    def _why(self, error: SyncdError) -> Unread:
        """Why it cannot be read; raises `error` where that is not the instance's own fault."""
        if isinstance(error, Busy):
            raise error
        if not self._own_fault:
            self._still_there()
            if self._others_are_served() is False:
                raise error
            self._own_fault = True
        if isinstance(error, ReplyTooLate):
            self._slow += 1
            return Unread.SLOW
        if isinstance(error, ReplyTooLarge):
            return Unread.LARGE
        return Unread.GARBLED if isinstance(error, ReplyUnreadable) else Unread.BROKEN

    def _elements(self, instance_id: OrthancId) -> Tags:
        try:
            return read_elements(self._routes, instance_id)
        except Busy:
            raise
        except (NotPlain, TornRead, Transient):
            return {}

    def has_missed(self, instances: Iterable[RawInstance]) -> bool:
        """Whether one of these was to be read and was not."""
        return any(each.orthanc_id in self.unread for each in instances)

    def first_of(self, instances: Iterable[RawInstance]) -> tuple[RawInstance, Tags]:
        """The first of these, in the order given, whose file can be read; only a few are tried. Where none can: the first
        one, and no tags."""
        candidates = tuple(instances)[:TRIED]
        for instance in candidates:
            tags = self.tags(instance)
            if tags or self.unread.get(instance.orthanc_id) is not Unread.BROKEN:
                return instance, tags
        return candidates[0], {}


def number_of_frames(instance: RawInstance) -> int:
    """(0028,0008) as the index has it; 0 where it has none."""
    text = str(instance.tags.get(_NUMBER_OF_FRAMES) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
