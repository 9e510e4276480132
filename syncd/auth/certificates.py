"""Until when the certificate holds that syncd shows: a server that refuses one often only hangs up."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509


def valid_until(file: Path) -> float:
    """The end of the first certificate in a PEM file, in seconds since the epoch."""
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.timestamp()
