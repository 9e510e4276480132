"""What went wrong with a request, as an error that says who must act, in words that name what to look at (RULES S1)."""

from __future__ import annotations

import ssl

from syncd.errors import SyncdError, Transient, Unreachable, Unsuitable
from syncd.http import deadline
from syncd.http.connection import Connection
from syncd.http.replies import ReplyRefused, ReplyTooLong

OUR_CERTIFICATE = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "not accepted",
    "SSLV3_ALERT_BAD_CERTIFICATE": "not accepted",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "not accepted",
    "TLSV1_ALERT_UNKNOWN_CA": "signed by nobody it knows",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants one",
}
"""What a server says of the certificate that we show, as OpenSSL names its alerts (RFC 8446 6.2)."""


class ReplyTooLarge(Unsuitable):
    """A server's reply is larger than syncd accepts."""


class ReplyTooLate(Transient):
    """A server's reply did not come in time."""


class Busy(Transient):
    """A server, or the proxy before it, asks for patience: that says nothing about what was asked for."""


class ReplyUnreadable(Transient):
    """A server's reply is no JSON, or none that can be trusted."""


def no_connection(at: Connection, *, in_time: bool = True) -> Unreachable:
    """Nothing listens there, or it does not say so."""
    when = "" if in_time else f" (no connection within {at.timeout:g} s)"
    question = f"is {at.software} running, and {at.setting('URL')} right?"
    return Unreachable(f"{at.name_told} cannot be reached at {at.address}{when}: {question}", server=at.server)


def too_late(at: Connection, what: str) -> Transient:
    """A wait took its timeout, or all of them together took too long. The end of a turn is no fault of this reply."""
    over = deadline.current()
    if over is not None and over.is_over:
        kind = Transient if over.of_turn else ReplyTooLate
        return kind(f"{at.who}: {what} {over.told}", server=at.server)
    return ReplyTooLate(f"{at.who}: no answer to {what} within {at.timeout:g} s", server=at.server)


def broken(at: Connection, what: str) -> Transient:
    """The connection ended before the answer did."""
    return Transient(f"{at.who}: the connection broke during {what}", server=at.server)


def refused(at: Connection, what: str, error: ReplyRefused) -> Unsuitable:
    """The answer is larger than we take in, or coded as we did not ask."""
    kind = ReplyTooLarge if isinstance(error, ReplyTooLong) else Unsuitable
    return kind(f"{at.who}: {what} {error}", server=at.server)


def redirected(at: Connection, status: int) -> str:
    """What is said of an answer that leads elsewhere."""
    return (
        f"{at.who}: redirects to another address (HTTP {status}), which is not followed; "
        f"set {at.setting('URL')} to the final one"
    )


def tls_failure(at: Connection, error: BaseException) -> SyncdError | None:
    """What of TLS is behind an error of the connection; None if nothing of it is."""
    cause = error.__cause__
    if not isinstance(cause, ssl.SSLError):
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = getattr(cause, "verify_message", "not trusted")
        hint = f"set {at.setting('CA_FILE')} to the authority that signed it"
        return Unsuitable(f"{at.who}: its certificate is refused ({why}); {hint}", server=at.server)
    why = OUR_CERTIFICATE.get(str(getattr(cause, "reason", "")))
    if why:
        hint = f"look at {at.setting('CLIENT_CERT')}"
        return Unsuitable(f"{at.who}: refuses the certificate that we show ({why}); {hint}", server=at.server)
    question = "does the address speak https, and want a client certificate?"
    if at.client_cert:
        question = f"does the address speak https, and does it take {at.setting('CLIENT_CERT')}?"
    return Unreachable(f"{at.who}: no TLS connection; {question}", server=at.server)
