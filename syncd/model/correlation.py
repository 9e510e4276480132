"""One id per reconcile, sent to both servers as `X-Correlation-ID` and bound to every log line (docs/operation.md, Logs)."""

from __future__ import annotations

from contextvars import ContextVar

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
