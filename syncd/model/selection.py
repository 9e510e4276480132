"""Studies that the archive holds and that are not published because the site does not select them."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.model.ids import ArchiveName


@dataclass(frozen=True, slots=True, kw_only=True)
class UnselectedStudy:
    """`state` is `excluded` or `outside-history`; `rule` what the settings say, never a value of the study."""

    study_uid: str
    archive: ArchiveName
    state: str
    rule: str
    study_date: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstImport:
    """The first listing of an archive, to which its history applies.

    `pending`: it has not ended yet. `until`: changes up to this number tell of what was there before it, and are no
    reason to publish an old study."""

    pending: bool = False
    until: int = 0
