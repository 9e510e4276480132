"""Logs: one event a line, for people on a terminal, as JSON otherwise; nothing in them identifies a patient (RULES S1).

Our own events are names with fields and safe by construction. Everybody else's text is not safe: an exception's
message, a library's log line or a Python warning may repeat a name, a URL with an identifier in it, or a server's
answer. So of an exception that is not ours only its type and the places it passed are written, of a library's line only
its template without the values, and of a warning only its category and place.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from syncd.errors import SyncdError
from syncd.model.correlation import correlation_id
from syncd.visible import visible

SPOKEN_PLAINLY = ("uvicorn", "alembic", "apscheduler")
"""Loggers whose whole text may be written: they speak of ports, migrations and our own jobs' names."""

_SECRET = re.compile(r"passw|token|authorization|secret|cookie|credential|api_?key", re.IGNORECASE)
_PACKAGE = Path(__file__).parent
_DEEPEST = 5
"""Levels of a nested field that are written; what lies deeper is replaced by its type."""

EventDict = MutableMapping[str, Any]


def configure(*, level: str, format: str, stream: TextIO = sys.stderr) -> None:
    """Send our events and the libraries' (from WARNING) to `stream`. `level` and `format` are LOG__LEVEL, LOG__FORMAT."""
    console = format == "console" or (format == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    processors = [
        structlog.contextvars.merge_contextvars,
        _add_correlation,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        exceptions_in_words,
        plain_values,
        without_secrets,
        renderer,
    ]
    threshold = logging.getLevelName(level.upper())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(threshold=max(threshold, logging.WARNING))


def exceptions_in_words(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by `error`, `message` (only of an exception that is ours), `cause` and `trace`."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if not isinstance(error, BaseException):
        return event
    event["error"] = type(error).__name__
    if isinstance(error, SyncdError):
        event["message"] = str(error)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        event["cause"] = type(cause).__name__
    event["trace"] = _places(error)
    return event


def plain_values(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Write texts, made visible, and numbers; of any other object its type only: its `repr` may hold anything."""
    return {visible(key): _plain(value, depth=0) for key, value in event.items()}


def without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drop every field whose name says that it is a secret: a belt, for no event of ours has one."""
    return {key: _strip_secrets(value) for key, value in event.items() if not _SECRET.search(key)}


class LibraryHandler(logging.Handler):
    """Turns a library's log record into an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.name.split(".")[0] in SPOKEN_PLAINLY:
            fields["text"] = _format_message(record)
        elif record.args:
            # A message without arguments may have been formatted already, values and all: then nothing of it is told.
            fields["template"] = str(record.msg)
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        name = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(structlog.get_logger(), name)("library_spoke", **fields)


def _route_libraries(*, threshold: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(LibraryHandler(level=threshold))
    root.setLevel(threshold)
    # Libraries that write lines of their own would pass by the handler; below WARNING they tell URLs with ids in them.
    for name in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "alembic",
        "apscheduler",
        "pydicom",
    ):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(threshold)
    warnings.showwarning = _log_warning
    sys.excepthook = _log_crash
    threading.excepthook = lambda failed: _log_crash(failed.exc_type, failed.exc_value, failed.exc_traceback)


def _format_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit: the library's mistake must not become ours
        return str(record.msg)


def _log_crash(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """An exception that nobody caught: Python would print its message, which may hold anything."""
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().error("crashed", exc_info=error or kind())


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Python's warnings: their text may repeat a DICOM value, their category and place cannot."""
    structlog.get_logger().warning("library_warned", category=category.__name__, place=f"{Path(filename).name}:{lineno}")


def _add_correlation(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = correlation_id.get()
    if current:
        event.setdefault("correlation_id", current)
    return event


def _places(error: BaseException) -> str:
    """Where an exception passed, innermost last: file, line and function; no source text and no values."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    shown = [*ours, *(frames[-1:] if frames and frames[-1] not in ours else [])]
    return " > ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in shown)


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(_PACKAGE):
        return path.relative_to(_PACKAGE.parent).as_posix()
    return os.path.join(path.parent.name, path.name)


def _plain(value: Any, *, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return visible(str(value))
    if isinstance(value, SyncdError):
        return visible(str(value))
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {visible(str(key)): _plain(one, depth=depth + 1) for key, one in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth=depth + 1) for one in value]
    return visible(str(value)) if isinstance(value, Path) else type(value).__name__


def _strip_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strip_secrets(one) for key, one in value.items() if not _SECRET.search(key)}
    return [_strip_secrets(one) for one in value] if isinstance(value, list) else value
