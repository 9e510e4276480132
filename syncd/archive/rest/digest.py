"""What an inventory is told of a study's words, in eight characters (RULES A8).

`/reconstruct` gives a study other words, and nothing says so: no event, no LastUpdate. But every listing brings the
main tags, so their digest is kept from one look to the next. It must change with the words and with nothing else:
another version of Orthanc keeps other tags, empty and absent are the same, and padding says nothing (PS3.5 6.2). And it
must tell nothing of a person to who holds the ledger: docs/decisions/inventory-digest.md says why it is as short as it
is.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from syncd.model.study.raw import Tags

MAIN_TAGS = (
    "0008,0020",
    "0008,0030",
    "0008,0050",
    "0008,0080",
    "0008,0090",
    "0008,1030",
    "0010,0010",
    "0010,0020",
    "0010,0030",
    "0010,0040",
    "0010,1000",
    "0020,000d",
    "0020,0010",
    "0032,1032",
    "0032,1060",
)
"""The main tags that 1.10 keeps of a study and its patient: 1.12 keeps them, too, and (0008,0201) besides. A site's
ExtraMainDicomTags are none of them, so that another list there changes no digest."""

SIZE = 4
"""Bytes: one edit of 4,000,000,000 is missed; and no more than 32 bits are told of what was said."""


def tags_digest(main_tags: Tags) -> str:
    """The digest of a study's main tags, its patient's included."""
    said = [[tag, value] for tag in MAIN_TAGS if (value := _plain_text(main_tags.get(tag)))]
    return blake2b(json.dumps(said, separators=(",", ":")).encode(), digest_size=SIZE).hexdigest()


def _plain_text(value: Any) -> str:
    return value.strip(" \0") if isinstance(value, str) else ""
