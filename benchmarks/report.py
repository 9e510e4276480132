"""What was measured, beside its goal: rows, the table for a terminal, and `docs/performance.md`.

A row's value is the median of its raw values, or what is worked out from the medians of several; the raw ones are kept
beside it, because a median of few hides how far apart they were. A row without a value says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MET, NOT_MET, UNJUDGED = "met", "NOT MET", ""

WIDTH = 66
"""Characters of a measure in the terminal's table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a value must be at least, or at most."""

    number: float
    at_least: bool = False
    unit: str = ""
    digits: int = 2

    def is_met(self, value: float) -> bool:
        return value >= self.number if self.at_least else value <= self.number

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {told(self.number, digits=self.digits, unit=self.unit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `value` None: not measured, `note` says why; else `note` says what else the reader must know.

    `raw` are the measurements behind it, by what they are; `unit` and `digits` say how the value is written."""

    measure: str
    value: float | None
    unit: str = ""
    digits: int = 2
    goal: Goal | None = None
    raw: Mapping[str, Sequence[float]] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return UNJUDGED
        return MET if self.value is not None and self.goal.is_met(self.value) else NOT_MET

    @property
    def told(self) -> str:
        return "not measured" if self.value is None else told(self.value, digits=self.digits, unit=self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and with what it was measured. Nothing in it names the machine or a place on it."""

    date: str
    command: str
    cores: int
    memory: int
    """Bytes."""
    processor: str
    versions: Mapping[str, str]


def at_least(number: float, *, unit: str = "", digits: int = 2) -> Goal:
    return Goal(number=number, at_least=True, unit=unit, digits=digits)


def at_most(number: float, *, unit: str = "", digits: int = 2) -> Goal:
    return Goal(number=number, unit=unit, digits=digits)


def told(number: float, *, digits: int = 2, unit: str = "") -> str:
    """A number for people: thousands apart, no further digits than it has a right to."""
    return f"{number:,.{digits}f}{f' {unit}' if unit else ''}"


def head() -> str:
    """The first line of the terminal's table."""
    return _line("measure", "goal", "value", "")


def line(row: Row) -> str:
    """A row for the terminal, its note below."""
    first = _line(row.measure, str(row.goal or "–"), row.told, row.verdict)
    return f"{first}\n    {row.note}" if row.note else first


def summary(rows: Iterable[Row]) -> str:
    """How many goals are met."""
    judged = [row.verdict for row in rows if row.goal is not None]
    return f"{judged.count(MET)} of {len(judged)} goals met"


def page(rows: Sequence[Row], *, setting: Setting, method: str) -> str:
    """`docs/performance.md`."""
    return "\n".join([*_beginning(setting), "", *_table(rows), "", method.strip(), "", *_raw(rows), ""])


def _line(measure: str, goal: str, value: str, verdict: str) -> str:
    return f"{measure:<{WIDTH}} {goal:>16} {value:>16}  {verdict}".rstrip()


def _beginning(setting: Setting) -> Iterator[str]:
    yield "# What a study costs"
    yield ""
    yield f"Written by `{setting.command}` on {setting.date}; do not edit it. Times belong to the machine and to what"
    yield "else runs on it, the ratios to programs measured in the same run much less so."
    yield ""
    memory = told(setting.memory / 2**30, digits=0, unit="GiB")
    yield f"Machine: {setting.cores} cores ({setting.processor}), {memory} of memory."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in setting.versions.items()) + "."


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| measure | goal | value | |"
    yield "|---|---|---|---|"
    notes: dict[str, int] = {}
    for row in rows:
        mark = ""
        if row.note:
            mark = f" <sup>{notes.setdefault(row.note, len(notes) + 1)}</sup>"
        value = f"**{row.told}**" if row.verdict == NOT_MET else row.told
        yield f"| {_cell(row.measure)}{mark} | {_cell(str(row.goal or '–'))} | {_cell(value)} | {row.verdict} |"
    yield ""
    yield f"{summary(rows)}."
    if notes:
        yield ""
    for note, number in notes.items():
        yield f"{number}. {note}"


def _raw(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Raw values"
    yield ""
    yield "In the order in which they were measured; what is told above is worked out from their medians."
    yield ""
    yield "| measure | of | values |"
    yield "|---|---|---|"
    for row in rows:
        for what, values in row.raw.items():
            yield f"| {_cell(row.measure)} | {_cell(what)} | {', '.join(_short(value) for value in values)} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
