"""What shaped the output: mapping version and settings, as one digest kept beside each record (RULES B3).

Another fingerprint makes every study dirty at backfill priority. It must be complete: a setting that changes what is
written but not the fingerprint would leave half of the studies in the old form for ever, so every field of the policy
counts, the ones added later included.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.policy import MappingPolicy

MAPPING_VERSION = 4
"""Raised whenever the same snapshot and settings give another resource than before, in every FHIR version; what one version
says otherwise raises its dialect's `revision`, and no study of another one is rendered again for it."""


def fingerprint(policy: MappingPolicy, *, fhir_version: str) -> str:
    """64 hexadecimal digits, equal for equal mapping version, settings and FHIR version (`r4`, …)."""
    shaping = _plain(policy)
    if isinstance(shaping, dict) and not policy.further:
        del shaping["further"]  # a site with one archive keeps the fingerprint that it had before there could be several
    said = {"mapping": MAPPING_VERSION + dialect(fhir_version).revision, "fhir": fhir_version, "policy": shaping}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
