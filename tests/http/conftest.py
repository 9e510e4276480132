"""A test CA, made once by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Papers:
    """PEM files: a CA, what it signed for 127.0.0.1, and the same key under a password."""

    ca: Path
    certificate: Path
    key: Path
    locked_key: Path

    def server(self, *, wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if wants_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=Test CA",
        "-days",
        1,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 1, "-extfile", "names"]
    openssl("x509", "-req", "-in", "request.pem", *signed_by, "-out", "certificate.pem")
    openssl("rsa", "-aes256", "-passout", "pass:hunter2", "-in", "key.pem", "-out", "locked.pem")
    return Papers(*(folder / name for name in ("ca.pem", "certificate.pem", "key.pem", "locked.pem")))
