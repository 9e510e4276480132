"""History: how much of what an archive held before syncd came is published.

It is about the first import only: what arrives later is published however old it is, for somebody sent it now. Dates
are as devices write them: `2024.01.02` of old devices, empty ones, and none at all. A study whose date is not known is
not taken for an old one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from syncd.model.study.dates import plain_date
from syncd.selection.rules import UnusableRule

ALL, SINCE, NONE = "all", "since", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """`since` is a StudyDate `YYYYMMDD`, for that word only."""

    word: str = ALL
    since: str = ""

    @property
    def text(self) -> str:
        return f"{SINCE}:{self.since}" if self.word == SINCE else self.word

    def takes(self, study_date: str) -> bool:
        """Whether the first import takes a study of this StudyDate (0008,0020)."""
        if self.word == SINCE:
            plain = plain_date(study_date)
            return not plain or plain >= self.since
        return self.word == ALL


def parse_history(text: str) -> History:
    """`all`, `none` or `since:DATE`. Raises `UnusableRule`."""
    word, colon, day = (part.strip() for part in text.lower().partition(":"))
    if word in (ALL, NONE) and not colon:
        return History(word=word)
    if word != SINCE:
        raise UnusableRule(f"`{text}` is none of all, since:DATE, none", "write since:2020-01-31 for a date")
    plain = day.replace("-", "")
    try:
        date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
    except ValueError:
        raise UnusableRule(f"`{text}` names no date", "write it as since:2020-01-31") from None
    if len(plain) != 8 or not plain.isascii():
        raise UnusableRule(f"`{text}` names no date", "write it as since:2020-01-31")
    return History(word=SINCE, since=plain)
