"""A test CA and what it signed: for servers on loopback, and for a client, once with a certificate that ended yesterday."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """PEM files, and a private JWK with which tokens are signed."""

    authority: Path
    certificate: Path
    key: Path
    client: Path
    client_key: Path
    expired: Path
    """The client's certificate, with the same key, that ended yesterday."""
    signing_key: dict[str, Any]


def issue(folder: Path) -> Papers:
    """All of them, new."""
    folder.mkdir(parents=True, exist_ok=True)
    root, server, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    now = datetime.now(UTC)
    until = now + 7 * DAY
    of_root = _signed("Test CA", root, by=root, begins=now - DAY, ends=until, is_authority=True)
    of_server = _signed("127.0.0.1", server, by=root, begins=now - DAY, ends=until)
    return Papers(
        authority=_kept(folder / "authority.pem", of_root),
        certificate=_kept(folder / "server.pem", of_server),
        key=_kept_key(folder / "server.key", server),
        client=_kept(folder / "client.pem", _signed("syncd", client, by=root, begins=now - DAY, ends=until)),
        client_key=_kept_key(folder / "client.key", client),
        expired=_kept(folder / "expired.pem", _signed("syncd", client, by=root, begins=now - 9 * DAY, ends=now - DAY)),
        signing_key={**RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True), "use": "sig", "alg": "RS256"},
    )


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    by: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
    is_authority: bool = False,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if name[0].isdigit():
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(by, hashes.SHA256())


def _kept(file: Path, certificate: x509.Certificate) -> Path:
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return file


def _kept_key(file: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file
