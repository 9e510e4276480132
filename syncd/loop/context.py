"""Everything that a reconcile needs, in one value: the two servers, the ledger, and what the site decided."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from syncd.archive.interface import Archive
from syncd.errors import ServerReset
from syncd.ledger.ledger import Ledger
from syncd.loop.delivery import Delivery
from syncd.loop.hooks import Hook
from syncd.loop.judged import Judged
from syncd.loop.steps import Step, report_step
from syncd.mapping.policy import MappingPolicy
from syncd.model.ids import ArchiveName
from syncd.model.work import Companion
from syncd.plan.decide import Found
from syncd.publish import sentinel
from syncd.publish.server import FhirServer
from syncd.selection.site import Selection


class Observer(Protocol):
    """Who is told what happened: metrics in the daemon, a progress bar in `resync`."""

    def count_decision(self, decision: str, seconds: float) -> None: ...

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None: ...


class Nobody:
    """An observer that does not listen."""

    def count_decision(self, decision: str, seconds: float) -> None:
        return None

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None:
        return None


class Locks:
    """One lock by name, for as long as somebody holds or wants it: two studies of one patient write that Patient in turn."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of `key` for the block."""
        with self._guard:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._held[key]
                if users == 1:
                    del self._held[key]
                else:
                    self._held[key] = (lock, users - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One archive as the loop reads it; what the site decided about it is in the policy. Durations are seconds."""

    name: ArchiveName
    archive: Archive
    url: str
    settle_after: float = 30.0
    poll_interval: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The archives in the order of the settings, one FHIR server, one ledger. `revoke_grace` is in seconds: for how long
    a rejection note counts after it was first missing (MAPPING D.2-4). `fingerprint` is that of RULES B3, `hooks`
    are the site's own (docs/hook.md); `on_delete` is POLICY__ON_DELETE, `adopt` POLICY__ADOPT, `ids` FHIR__IDS."""

    archives: Mapping[ArchiveName, Source]
    server: FhirServer
    ledger: Ledger
    policy: MappingPolicy
    fhir_version: str
    fingerprint: str
    revoke_grace: float = 900.0
    adopt: str = "registered"
    ids: str = "auto"
    transactions: bool = False
    """Whether a backlog's small studies are written together, where the server can (FHIR__WRITES, RULES C7)."""
    hooks: tuple[Hook, ...] = ()
    on_delete: str = "cancelled"
    provenance: str = "off"
    """POLICY__PROVENANCE: `corrections`, `all`, `off`; `off` also where the FHIR version has none that we write."""
    sinks: tuple[Delivery, ...] = ()
    """Receivers that the settings name, beside the FHIR server: what each is owed is sent by a thread of its own."""
    observer: Observer = field(default_factory=Nobody)
    longest_turn: float = 3600.0
    """Seconds after which a study's turn is ended, whatever it waits for."""
    clock: Callable[[], float] = time.time
    locks: Locks = field(default_factory=Locks)
    judged: Judged = field(default_factory=Judged)
    selections: Mapping[ArchiveName, Selection] = field(default_factory=dict)

    def selection(self, archive: ArchiveName) -> Selection:
        """What the site selects of this archive."""
        return self.selections.get(archive, Selection())

    @property
    def settle_after(self) -> float:
        """Seconds after which every archive has settled."""
        return max(source.settle_after for source in self.archives.values())

    def check_sentinel(self) -> None:
        """Raise `ServerReset` when the server no longer holds our sentinel (RULES B4, E3)."""
        target = self.ledger.facts.target()
        if target is None or not sentinel.present(
            self.server, target.sentinel_id, installation_id=self.installation_id, fhir_version=self.fhir_version
        ):
            raise ServerReset()

    @contextmanager
    def hold_ours(
        self,
        resource: Mapping[str, Any],
        *,
        fresh: bool = False,
        believed: Callable[[Companion], Companion | None] = lambda known: known,
    ) -> Iterator[Companion | None]:
        """Hold the lock of a resource that is wholly ours (Patient, Endpoint, machine, ourselves) for the block: two studies
        do not write it at once. Gives what we wrote last, None where that does not count.

        `believed`: what of the ledger's word counts. `fresh`: the server is asked whether it is still there; whoever needs
        it writes it again."""
        resource_type, resource_id = str(resource["resourceType"]), str(resource["id"])
        with self.locks.hold(f"{resource_type}/{resource_id}"):
            known = self.ledger.companions.find(resource_type, resource_id)
            known = believed(known) if known is not None else None
            if known is not None and fresh and not isinstance(self.server.read(resource_type, resource_id), Found):
                known = None
            yield known

    def remember(self, kept: Companion, *, known: Companion | None, step: Step | None = None) -> None:
        """Keep what is there now of such a resource, where that is not what was `known`; `step` is the moment before.

        A Patient goes into the ledger with the next transaction, at the latest with the intent of the study that needs it:
        killed before, the next pass finds it by its id."""
        if kept == known:
            return
        if step is not None:
            report_step(step)
        self.ledger.companions.save(kept, later=kept.resource_type == "Patient")

    @property
    def installation_id(self) -> str:
        return self.policy.installation_id
