"""What one archive's settings select, in one value, and its fingerprint: another one reaches what is published."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from syncd.selection.history import History
from syncd.selection.rules import Rules

KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`on_deselect`: what becomes of a published study that is not selected any more: `keep`, `entered-in-error` or
    `delete`."""

    rules: Rules = field(default_factory=Rules)
    history: History = field(default_factory=History)
    on_deselect: str = KEEP

    @property
    def fingerprint(self) -> str:
        """Of the rules and of what follows from them; the history has a word of its own. The order of rules is none."""
        said = [sorted(rule.text for rule in rules) for rules in (self.rules.include, self.rules.exclude)]
        return hashlib.sha256(json.dumps([*said, self.on_deselect]).encode()).hexdigest()
