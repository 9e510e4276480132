"""What a site adds to the mapping: Python functions that change or veto a finished resource (docs/hook.md).

A hook is an entry point of the group `syncd.mapping`, called as `(snapshot, resource)`; it gives the resource to send,
or None so that nothing is sent. It is somebody else's code in our loop: it gets a copy, what it gives is copied and
checked, what tells a resource as ours is not its to change, and whatever it does wrong parks that one study under its
name. Its message is not repeated anywhere, because it may hold a patient's data (RULES S1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from syncd.errors import ConfigurationError, StudyError
from syncd.mapping.check.check import problems
from syncd.mapping.values.systems import DICOM_UID
from syncd.model.snapshot import StudySnapshot
from syncd.model.words import ParkedReason

GROUP = "syncd.mapping"

Resource = dict[str, Any]

_OURS = ("resourceType", "id", "status", "uid", "availability")
"""What finds and identifies the resource; DSTU2 says the last two instead of an identifier and a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One entry point: its name, where it comes from (`package 1.2`, `package.module:function`), and the function."""

    name: str
    distribution: str
    value: str
    call: Callable[[StudySnapshot, Resource], Resource | None]


def load_hooks() -> tuple[Hook, ...]:
    """Every installed hook in the order of their names. Raises `ConfigurationError` naming one that cannot be loaded."""
    return tuple(sorted(map(_load_hook, entry_points(group=GROUP)), key=lambda one: (one.name, one.distribution)))


def fingerprint_with_hooks(fingerprint: str, *, hooks: Sequence[Hook]) -> str:
    """The fingerprint with the hooks in it (RULES B3); without any hook it is the one of the mapping alone."""
    if not hooks:
        return fingerprint
    said = [fingerprint, *([hook.name, hook.distribution, hook.value] for hook in hooks)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def finish_resource(snapshot: StudySnapshot, resource: Resource, *, hooks: Sequence[Hook], fhir_version: str) -> Resource:
    """The resource to send: checked by ourselves before a server sees it (RULES B1), and after each hook once more.

    Raises `StudyError`: `unmappable` for a mistake of ours, `hook` for a veto, a failure or a mistake of a hook.
    """
    found = problems(resource, fhir_version=fhir_version)
    if found:
        raise StudyError(ParkedReason.UNMAPPABLE, "; ".join(found[:3]))
    for hook in hooks:
        resource = _ask(hook, snapshot, resource, fhir_version=fhir_version)
    return resource


def _ask(hook: Hook, snapshot: StudySnapshot, resource: Resource, *, fhir_version: str) -> Resource:
    try:
        given = hook.call(snapshot, _copy(resource))
        if given is None:
            raise _Vetoed
        result = _copy(given)
        changed = [name for name, value in _fixed_part(resource).items() if _fixed_part(result)[name] != value]
        found = () if changed else problems(result, fhir_version=fhir_version)
    except _Vetoed:
        raise StudyError(ParkedReason.HOOK, f"vetoed by {hook.name}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code: whatever it raises is this study's
        # Without the cause: a traceback would show its message (RULES S1).
        raise StudyError(ParkedReason.HOOK, f"{hook.name} failed ({type(error).__name__})") from None
    if changed:
        raise StudyError(ParkedReason.HOOK, f"{hook.name} changed {', '.join(changed)}")
    if found:
        raise StudyError(ParkedReason.HOOK, f"{hook.name} made it invalid: {'; '.join(found[:3])}")
    return result


class _Vetoed(Exception):
    """The hook gave None."""


def _copy(resource: Resource) -> Resource:
    """A deep copy that shares nothing, by way of the bytes that would be sent: what is no JSON fails here."""
    text = json.dumps(resource, ensure_ascii=False, allow_nan=False).encode()
    copied = json.loads(text)
    if not isinstance(copied, dict):
        raise TypeError
    return copied


def _fixed_part(resource: Resource) -> Resource:
    """What a hook may not change, by the name under which a parked study tells it."""
    uids = [item for item in resource.get("identifier", ()) if item.get("system") == DICOM_UID]
    return {
        **{name: resource.get(name) for name in _OURS},
        f"identifier {DICOM_UID}": uids,
        "meta.tag": resource.get("meta", {}).get("tag"),
    }


def _load_hook(entry: EntryPoint) -> Hook:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    named = f"the hook {entry.name!r} ({entry.value}) of {package}"
    try:
        call = entry.load()
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{named} cannot be loaded ({type(error).__name__}): mend or uninstall it") from error
    if not callable(call):
        raise ConfigurationError(f"{named} is no function: mend or uninstall it")
    return Hook(name=entry.name, distribution=package, value=entry.value, call=call)
