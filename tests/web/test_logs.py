"""Logs: their form, and what never gets into them (RULES S1)."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from syncd import logs
from syncd.errors import StudyError
from syncd.model.correlation import correlation_id

PATIENT = "DOE^JANE"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything that `configure` sets for the whole process is put back."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    root, level = logging.getLogger(), logging.getLogger().level
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, logs.LibraryHandler)]:
        root.removeHandler(handler)


class Stream(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def configured(level: str = "info") -> Stream:
    stream = Stream()
    logs.configure(level=level, format="json", stream=stream)
    return stream


def events(stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_a_line() -> None:
    """JSON lines when not on a terminal; docs/operation.md, Logs: the correlation id."""
    stream = configured()
    token = correlation_id.set("c-1")
    try:
        structlog.get_logger("any").bind(study="1.2.3").info("study_published", decision="Create", note="Ü")
    finally:
        correlation_id.reset(token)
    (event,) = events(stream)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "study_published",
        "level": "info",
        "study": "1.2.3",
        "decision": "Create",
        "note": "Ü",
        "correlation_id": "c-1",
    }


@pytest.mark.parametrize(
    "format, terminal, is_json",
    [("auto", False, True), ("auto", True, False), ("console", False, False), ("json", True, True)],
)
def test_the_form_is_chosen_by_setting_or_terminal(format: str, terminal: bool, is_json: bool) -> None:
    """docs/settings.md, LOG__FORMAT."""
    stream = Stream(terminal=terminal)
    logs.configure(level="info", format=format, stream=stream)
    structlog.get_logger().info("started")
    assert stream.getvalue().startswith("{") is is_json
    assert "started" in stream.getvalue()


def test_lesser_levels_are_not_written() -> None:
    """docs/settings.md, LOG__LEVEL."""
    stream = configured("warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [event["event"] for event in events(stream)] == ["loud"]


def fail(patient: str) -> None:
    name = patient
    raise KeyError(name)


def test_an_exception_is_written_without_its_text_and_its_variables() -> None:
    """RULES S1: the text of an exception that is not ours may hold a value, and so may every variable."""
    stream = configured()
    try:
        fail(PATIENT)
    except KeyError:
        structlog.get_logger().exception("study_failed")
    (event,) = events(stream)
    assert event["error"] == "KeyError"
    assert "test_logs.py" in event["trace"]
    assert PATIENT not in stream.getvalue()


def test_an_exception_of_ours_is_written_with_its_message_and_cause() -> None:
    """RULES S1: our messages hold rule, tag or code, and never an outcome."""
    stream = configured()
    try:
        try:
            fail(PATIENT)
        except KeyError as error:
            raise StudyError("refused", "invariant-1", outcome={"text": PATIENT}) from error
    except StudyError:
        structlog.get_logger().warning("study_parked", exc_info=True)
    (event,) = events(stream)
    assert (event["error"], event["message"], event["cause"]) == ("StudyError", "refused: invariant-1", "KeyError")
    assert PATIENT not in stream.getvalue()


@dataclass
class Named:
    """An object whose `repr` tells a name."""

    name: str


def test_an_object_is_written_as_its_type() -> None:
    """RULES S1: a snapshot that slips into a log line tells nothing."""
    stream = configured()
    fields = {
        "one": Named(PATIENT),
        "many": [Named(PATIENT)],
        "error": KeyError(PATIENT),
        "deep": {"x": {"y": Named(PATIENT)}},
    }
    structlog.get_logger().info("something", number=1, **fields)
    (event,) = events(stream)
    assert (event["one"], event["many"], event["number"], event["error"]) == ("Named", ["Named"], 1, "KeyError")
    assert PATIENT not in stream.getvalue()


@pytest.mark.parametrize("key", ["password", "token", "Authorization", "client_secret", "api_key"])
def test_a_field_named_as_a_secret_is_dropped(key: str) -> None:
    """RULES S1: a belt; no event of ours has one."""
    stream = configured()
    structlog.get_logger().info("called", headers={key: "HUNTER2", "accept": "json"}, **{key: "HUNTER2"})
    assert "HUNTER2" not in stream.getvalue()
    assert events(stream)[0]["headers"] == {"accept": "json"}


def test_libraries_are_heard_from_warning_and_without_values() -> None:
    """RULES S1: httpx tells URLs with identifiers, pydicom tells values; a template tells none."""
    stream = configured("debug")
    for name in ("httpx", "urllib3.connectionpool", "pydicom"):
        logging.getLogger(name).info("GET %s", PATIENT)
        logging.getLogger(name).warning("retrying %s", PATIENT)
        logging.getLogger(name).warning(f"Invalid value {PATIENT}")
    logging.getLogger("apscheduler.scheduler").warning('Run time of job "%s" was missed', "intake")
    written = events(stream)
    assert {event["event"] for event in written} == {"library_spoke"}
    assert [event.get("template") for event in written if event["logger"] == "httpx"] == ["retrying %s", None]
    assert written[-1]["text"] == 'Run time of job "intake" was missed'
    assert PATIENT not in stream.getvalue()


def test_a_librarys_malformed_line_does_no_harm() -> None:
    """RULES S1: a line is written, and nobody's work fails for it."""
    stream = configured()
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "file.py", 1, "%d of %d", ("x",), None)
    logs.LibraryHandler().handle(record)
    assert [event["text"] for event in events(stream)] == ["%d of %d"]


def test_a_librarys_exception_is_written_without_its_text() -> None:
    """RULES S1."""
    stream = configured()
    try:
        fail(PATIENT)
    except KeyError:
        logging.getLogger("apscheduler.executors").exception('Job "%s" raised an exception', "intake")
    (event,) = events(stream)
    assert (event["error"], event["level"]) == ("KeyError", "error")
    assert PATIENT not in stream.getvalue()


def test_a_python_warning_is_written_without_its_text() -> None:
    """RULES S1: pydicom warns with the value that it cannot read."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = configured()
        warnings.warn(f"Invalid value for VR DA: {PATIENT}", UserWarning, stacklevel=1)
    (event,) = events(stream)
    assert (event["event"], event["category"]) == ("library_warned", "UserWarning")
    assert PATIENT not in stream.getvalue()


def test_a_thread_that_dies_says_so_without_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    """RULES S1: Python would print the message of an exception that nobody caught."""
    stream = configured()
    thread = threading.Thread(target=fail, args=(PATIENT,))
    thread.start()
    thread.join()
    sys.excepthook(KeyError, KeyError(PATIENT), None)
    assert [(event["event"], event["error"]) for event in events(stream)] == [("crashed", "KeyError")] * 2
    assert PATIENT not in stream.getvalue() + capsys.readouterr().err


def test_configuring_again_does_not_write_twice() -> None:
    """One event is one line."""
    first, second = configured(), configured()
    structlog.get_logger().warning("once")
    logging.getLogger("uvicorn.error").warning("once")
    assert first.getvalue() == ""
    assert len(events(second)) == 2
