"""Where this machine gets Debian from, as its own apt sources say it: the mirror for the second Orthanc's chroot.

No host is named in this repository; a site's mirror, proxy or snapshot is used as its administrator set it. Apt has two
formats (one line each, and deb822) and may name a file of mirrors instead of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """One place that binary packages come from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def debian_mirror(*, apt: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")) -> str:
    """The URI of the archive that this Debian was installed from; empty on another distribution, or if none is named."""
    system = _os_release(os_release)
    if system.get("ID") != "debian":
        return ""
    codename = system.get("VERSION_CODENAME", "")
    fitting = (source.uri for source in sources(apt) if source.suite in (codename, "stable") and "main" in source.components)
    return next(filter(None, map(_resolved, fitting)), "")


def sources(apt: Path) -> Iterator[Source]:
    """All enabled binary sources, in apt's order of files."""
    folder = apt / "sources.list.d"
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in [apt / "sources.list", *found]:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            yield from _one_line(text.splitlines())
        elif file.suffix == ".sources":
            yield from _deb822(text.splitlines())


def _one_line(lines: Iterable[str]) -> Iterator[Source]:
    """`deb [options] uri suite component…` (sources.list(5)). Options may hold spaces between their brackets."""
    for line in lines:
        words = line.split("#", 1)[0].split()
        if not words or words[0] != "deb":
            continue
        rest = words[1:]
        if rest and rest[0].startswith("["):
            end = next((place for place, word in enumerate(rest) if word.endswith("]")), len(rest))
            rest = rest[end + 1 :]
        if len(rest) >= 2:
            yield Source(uri=rest[0], suite=rest[1], components=tuple(rest[2:]))


def _deb822(lines: Iterable[str]) -> Iterator[Source]:
    """Stanzas of `Field: values`, continued by indented lines (sources.list(5))."""
    for stanza in _stanzas(lines):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Source(uri=uri, suite=suite, components=tuple(stanza.get("components", "").split()))


def _stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    field = ""
    for line in [*lines, ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0].isspace():
            stanza[field] = f"{stanza.get(field, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            field = name.strip().lower()
            stanza[field] = value.strip()


def _resolved(uri: str) -> str:
    """An http(s) or file URI that debootstrap understands; the first one listed where `uri` names a file of mirrors."""
    scheme, _, rest = uri.partition(":")
    if scheme != "mirror+file":
        return uri if scheme in ("http", "https", "file") else ""
    listed = Path(rest)
    if not listed.is_file():
        return ""
    lines = listed.read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "")


def _os_release(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    pairs = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
    return {name: value.strip("\"'") for name, _, value in pairs if value}
