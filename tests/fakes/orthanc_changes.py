"""`GET /changes`: the page that Orthanc answers, with the quirks that RULES A3 is built on.

`Last` of an empty page is the highest number ever given, not the last one still there; `?last` is the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.orthanc_index import Entry, Index

DEFAULT_LIMIT = 100
TYPES = frozenset(
    {f"{what}{level}" for what in ("New", "Stable") for level in ("Instance", "Series", "Study", "Patient")}
    | {"UpdatedMetadata", "UpdatedAttachment", "Deleted", "AnonymizedStudy", "ModifiedStudy"}
) - {"StableInstance"}


def change_page(index: Index, query: Mapping[str, str]) -> dict[str, Any] | None:
    """The page, or None where the query is refused (1.12, an unknown type)."""
    if "last" in query:
        return _page(index, index.log[-1:], done=True)
    since = _number(query.get("since"), default=0)
    limit = _number(query.get("limit"), default=DEFAULT_LIMIT)
    later = [entry for entry in index.log if entry.seq > since]
    if index.modern:
        types = query["type"].split(";") if "type" in query else []
        if not TYPES.issuperset(types):
            return None
        later = [entry for entry in later if not types or entry.change_type in types]
        if "to" in query:
            return _page_to(index, later, to=_number(query["to"], default=0), limit=limit, backwards="since" not in query)
    return _page(index, later[:limit], done=len(later) <= limit)


def _page_to(index: Index, later: list[Entry], *, to: int, limit: int, backwards: bool) -> dict[str, Any]:
    """1.12: `to` without `since` reads backwards, the newest entries first to be kept."""
    within = [entry for entry in later if entry.seq <= to]
    page = within[-limit:] if backwards and limit else within[:limit]
    return _page(index, page, done=len(within) <= limit)


def _page(index: Index, entries: list[Entry], *, done: bool) -> dict[str, Any]:
    page: dict[str, Any] = {"Changes": [entry.to_json() for entry in entries], "Done": done}
    page["Last"] = entries[-1].seq if entries else index.highest
    if index.modern and entries:
        page["First"] = entries[0].seq
    return page


def _number(text: str | None, *, default: int) -> int:
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default
