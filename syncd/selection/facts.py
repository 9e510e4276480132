"""What a study is, as far as rules ask: values of its images, the archive's labels, and who sent it.

Values come from what was read anyway: the main tags of study and series, and the full tags of one image of each series.
Not everything may be there yet. A study that still arrives is judged by the series that did arrive; a rule that names a
value of single images sees only one image of each series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from syncd.model.study.raw import RawStudy, Tags, Undecoded
from syncd.selection.rules import AET, LABEL, Excluded, Rule, Rules, Selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One copy of a study."""

    tags: tuple[Tags, ...] = ()
    labels: tuple[str, ...] = ()
    aets: tuple[str, ...] = ()

    def values(self, rule: Rule) -> tuple[str, ...]:
        """Every value that the rule asks for; of a person's name the whole and each of its three forms."""
        if rule.key == LABEL:
            return self.labels
        if rule.key == AET:
            return self.aets
        return tuple(dict.fromkeys(value for tags in self.tags for value in _values(tags, rule.tag)))


def facts(raw: RawStudy, *, aets: Iterable[str] = (), readable: Callable[[Tags], Tags] = dict) -> Facts:
    """The facts of one copy; `aets` are calling AE titles that `raw` does not tell. `readable` makes text of what came as
    bytes: of that the archive's main tags hold but what it made of them, which is not compared (RULES B11)."""
    series = [tags for one in raw.series for tags in (one.tags, one.representative)]
    doubted = {tag for tags in series for tag, value in tags.items() if isinstance(value, Undecoded)}
    main = {tag: value for tag, value in raw.header.main_tags.items() if tag not in doubted}
    told = {one.calling_aet for one in raw.instances if one.calling_aet}
    return Facts(
        tags=tuple(readable(tags) for tags in (main, *series)),
        labels=tuple(label for label in (raw.header.labels or "").split("\\") if label),
        aets=tuple(sorted(told | set(aets))),
    )


def select(study: Facts, rules: Rules) -> Selected | Excluded:
    """Exclude wins; without include rules everything is included."""
    for rule in rules.exclude:
        if rule.fits(study.values(rule)):
            return Excluded(rule=rule.text)
    if rules.include and not any(rule.fits(study.values(rule)) for rule in rules.include):
        return Excluded()
    return Selected()


def _values(tags: Mapping[str, object], tag: str) -> Iterator[str]:
    text = tags.get(tag)
    if not isinstance(text, str):
        return
    for value in text.split("\\"):
        yield value
        yield from value.split("=") if "=" in value else ()
