"""An authorization server in memory, told what to answer, which remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from syncd.auth.exchange import Answer

BASE = "https://fhir.example.org/r4"
ENDPOINT = "https://login.example.org/token"
CONFIGURATION = f"{BASE}/.well-known/smart-configuration"


def token_answer(value: str = "token-1", **more: Any) -> Answer:
    """A token of five minutes; `None` leaves a member out."""
    body = {"access_token": value, "token_type": "bearer", "expires_in": 300, **more}
    return Answer(status=200, body={name: said for name, said in body.items() if said is not None})


def error_answer(code: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=headers or {}, body={"error": code, "error_description": "the free text"})


@dataclass(kw_only=True)
class Giver:
    """`answers` in turn, the last one for ever; a callable makes one, or raises."""

    answers: list[Answer | Callable[[], Answer]] = field(default_factory=lambda: [token_answer()])
    configuration: Any = field(default_factory=lambda: {"token_endpoint": ENDPOINT, "capabilities": ["permission-v2"]})
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str]
    ) -> Answer:
        self.asked.append((method, url))
        if method == "GET":
            found = self.configuration
            return found if isinstance(found, Answer) else Answer(status=200, body=found)
        self.forms.append(dict(form or {}))
        self.headers.append(dict(headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer() if callable(answer) else answer


def dated(moment: float) -> dict[str, str]:
    return {"Date": formatdate(moment, usegmt=True)}
