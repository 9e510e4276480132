"""Key files: what is read from them, what is refused, and what may be shown."""

from __future__ import annotations

import json

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from syncd.auth.keys import BadKeys, chosen_key, new_key, private_set, public_set, read_keys

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


@pytest.mark.parametrize(("algorithm", "kind"), [("ES384", "EC"), ("RS384", "RSA")])
def test_a_new_key_signs_what_its_public_half_verifies(algorithm: str, kind: str) -> None:
    """SMART client-confidential-asymmetric: `alg`, `kid` and `typ` in the header; a bare public key in the set."""
    (key,) = read_keys(private_set([new_key(algorithm)]))
    shown = public_set([key])
    signed = jwt.decode(key.sign({"iss": "us"}), KeySet.import_key_set(shown), algorithms=[algorithm])
    assert signed.claims == {"iss": "us"}
    assert signed.header == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
    (one,) = shown["keys"]
    assert (one["kty"], one["alg"], one["use"], one["kid"]) == (kind, algorithm, "sig", key.kid)
    assert not PRIVATE_MEMBERS & one.keys()


def test_no_kid_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """`syncd keys drop KID`: one thumbprint in 64 begins with a hyphen."""
    keys = [ECKey.generate_key("P-384") for _ in range(2)]
    thumbprints = iter(["-AAA", "AAA", "AAA"])
    made = iter(keys)
    monkeypatch.setattr(ECKey, "generate_key", lambda curve: next(made))
    monkeypatch.setattr(ECKey, "thumbprint", lambda key: next(thumbprints))
    assert new_key().kid == "AAA"


def test_a_key_is_not_in_its_repr() -> None:
    key = new_key()
    assert repr(key) == f"SigningKey(kid={key.kid!r}, algorithm='ES384', has_name=True)"


def test_the_first_key_signs_unless_another_is_asked_for() -> None:
    """Rotation: two keys at a time."""
    old, new = new_key(), new_key()
    keys = read_keys(private_set([old, new]))
    assert [chosen_key(keys).kid, chosen_key(keys, kid=new.kid).kid] == [old.kid, new.kid]
    with pytest.raises(BadKeys, match=f"only {old.kid}, {new.kid}"):
        chosen_key(keys, kid="another")


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_a_pem_file_has_no_kid_and_takes_the_one_that_is_set(kind: str) -> None:
    key = ECKey.generate_key("P-384") if kind == "EC" else RSAKey.generate_key(2048)
    keys = read_keys(key.as_pem(private=True).decode())
    assert chosen_key(keys).kid == key.thumbprint()
    assert chosen_key(keys, kid="given-by-them").kid == "given-by-them"


def test_a_single_jwk_is_a_set_of_one() -> None:
    key = new_key()
    (found,) = read_keys(json.dumps(key.private))
    assert (found.kid, found.algorithm) == (key.kid, "ES384")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither a JWK Set nor a PEM file"),
        ("hunter2", "neither a JWK Set nor a PEM file"),
        ("[]", "no key"),
        ('{"keys": []}', "no key"),
        ('{"keys": ["hunter2"]}', "no key"),
        ('{"kty": "EC", "crv": "P-384", "x": "hunter2", "y": "a", "d": "hunter2"}', "cannot be read"),
        ('{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "hunter2"}', "cannot be read"),
        ('{"kty": "EC"}', "cannot be read"),
        ('{"keys": [{"kty": "oct", "k": "hunter2"}]}', "neither RSA nor EC"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", "no PEM file of an unencrypted"),
        (ECKey.generate_key("P-256").as_pem(private=True).decode(), "another curve than P-384"),
        (ECKey.generate_key("P-384").as_pem(private=False).decode(), "public key, not a private"),
        (json.dumps(new_key().public), "public key, not a private"),
    ],
    ids=range(13),
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str, why: str) -> None:
    with pytest.raises(BadKeys, match=why) as refused:
        read_keys(text)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_rsa_key_is_refused() -> None:
    """RFC 7518 3.3."""
    with pytest.raises(BadKeys, match="less than 2048 bits"):
        read_keys(RSAKey.generate_key(1024).as_pem(private=True).decode())


def test_two_keys_of_one_kid_are_refused() -> None:
    """Which of them would be meant?"""
    key = new_key()
    with pytest.raises(BadKeys, match="the same kid"):
        read_keys(private_set([key, key]))
