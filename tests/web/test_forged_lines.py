"""Whatever a study, a server or a setting says, an event stays one line, and a terminal is told nothing by it (RULES S1).

The difficulty: a line ends at more characters than LF, an escape sequence begins with one character or with two, and a
right-to-left override turns what a person reads without a byte of it being wrong.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from syncd import logs
from syncd.errors import StudyError
from syncd.model.correlation import correlation_id
from syncd.visible import visible
from tests.web.test_logs import Stream

FORGED = '\n{"event": "study_published", "level": "info"}\n'
HOSTILE = {
    "line": f"1.2.3{FORGED}",
    "carriage return": "1.2.3\r2026-11-30T00:00:00Z [info] study_published",
    "clears the screen": "1.2.3\x1b[2J\x1b[H",
    "names the window": "1.2.3\x1b]0;mine\x07",
    "C1 introducer": "1.2.3\x9b2J",
    "next line": "1.2.3\x85study_published",
    "line separator": "1.2.3\u2028study_published",
    "paragraph separator": "1.2.3\u2029study_published",
    "vertical tab, form feed": "1.2.3\x0b\x0c",
    "right-to-left override": "1.2.3\u202e4.5\u202c",
    "isolates": "1.2.3\u2066\u20674.5\u2069",
    "marks": "\u200e\u200f\u061c1.2.3",
    "zero width": "1.2\u200b.3\ufeff",
    "tags": "1.2.3\U000e0041",
    "backspaces": "1.2.3\x08\x08\x7f",
    "NUL": "1.2.3\x00",
    "half a pair": "1.2.3\ud800",
}
"""What could be in a UID, a reason, a server's answer, or the name of an archive."""

form = pytest.mark.parametrize("form", ["json", "console"])
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where syncd itself colours nothing, every escape is somebody else's."""
    monkeypatch.setattr("structlog.dev._has_colors", False)
    yield


def written(form: str) -> Stream:
    stream = Stream()
    logs.configure(level="info", format=form, stream=stream)
    return stream


def the_line(stream: Stream) -> str:
    """The one line that was written; it can be encoded, and every character of it is shown."""
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text[:-1].isprintable(), ascii(text)
    assert len(text.encode().splitlines()) == len(text.splitlines()) == 1
    return text


@form
@hostile
def test_no_field_ends_its_line_or_commands_a_terminal(form: str, text: str) -> None:
    """A UID, a reason, a list of them, what an archive of the settings is called, a path."""
    stream = written(form)
    bound = structlog.get_logger().bind(archive=text)
    bound.info("study_decided", study=text, reason=text, studies=[text], counts={text: 1}, file=Path(text), **{text: 1})
    line = the_line(stream)
    if form == "json":
        assert json.loads(line)["event"] == "study_decided"


@form
@hostile
def test_nor_does_an_event_an_error_or_an_id(form: str, text: str) -> None:
    """Our errors' messages are written; they name what was asked."""
    stream = written(form)
    token = correlation_id.set(text)
    try:
        raise StudyError("refused", text)
    except StudyError as error:
        structlog.get_logger().warning(text, exc_info=True, why=error)
    finally:
        correlation_id.reset(token)
    assert "refused" in the_line(stream)


@form
@hostile
def test_nor_does_a_library(form: str, text: str) -> None:
    """uvicorn repeats of a request what it cannot read; a logger may be named after anything."""
    stream = written(form)
    _library_logs("uvicorn.error", "Invalid HTTP request: %s", text)
    assert "library_spoke" in the_line(stream)
    stream = written(form)
    _library_logs(f"lib.{text}", f"{text} %s", "1")
    assert "library_spoke" in the_line(stream)


def _library_logs(logger: str, template: str, value: str) -> None:
    """To syncd's handler alone: pytest would hand half of a pair on to another process, which cannot take it."""
    logs.LibraryHandler().handle(logging.LogRecord(logger, logging.WARNING, "file.py", 1, template, (value,), None))


@form
@given(text=st.text(st.characters(exclude_categories=[]), max_size=20))
def test_nor_does_any_text(form: str, text: str) -> None:
    """Drawn from all of Unicode."""
    stream = written(form)
    structlog.get_logger().info("study_decided", study=text)
    the_line(stream)


@hostile
def test_what_is_spelt_out_is_the_same_value_within_json(text: str) -> None:
    """A reader of a document gets what was there; a reader of a terminal sees that something was."""
    assert json.loads(f'"{visible(text.replace(chr(34), ""))}"') == text.replace('"', "")
    assert visible("Größe 5 · 日本語") == "Größe 5 · 日本語"


def test_a_forged_event_is_told_as_text() -> None:
    """Who parses the log line by line finds one event, ours."""
    stream = written("json")
    structlog.get_logger().info("study_decided", study=HOSTILE["line"])
    events: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["study_decided"]
    assert events[0]["study"].startswith("1.2.3\\n{")
