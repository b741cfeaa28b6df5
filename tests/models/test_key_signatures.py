"""Signatures: verified with the public key, made with the API key alone."""

import pytest

from models import key_signatures

KEY = "kao_a-key-for-the-tests"


def test_a_signature_is_valid_for_its_key_purpose_and_message_alone() -> None:
    signature = key_signatures.sign(KEY, "session", "hello")
    public = key_signatures.public_key(KEY, "session")
    assert key_signatures.is_valid(public, signature, "hello")
    assert not key_signatures.is_valid(public, signature, "hello!")
    assert not key_signatures.is_valid(
        key_signatures.public_key(KEY, "address"), signature, "hello"
    )
    assert not key_signatures.is_valid(
        key_signatures.public_key(KEY + "x", "session"), signature, "hello"
    )


def test_the_derivation_of_keys_never_changes() -> None:
    """Otherwise every session and every signed address would end."""
    assert key_signatures.public_key(KEY, "session") == SESSION_KEY
    assert key_signatures.public_key(KEY, "address") == ADDRESS_KEY


@pytest.mark.parametrize("text", ["", "a", "é", "=" * 86, "A" * 86, "A" * 4096, "\ud800"])
def test_any_text_may_be_verified(text: str) -> None:
    assert not key_signatures.is_valid(key_signatures.public_key(KEY, "address"), text, "hello")
    assert not key_signatures.is_valid("not a key", text, text)


SESSION_KEY = "78cebbbad2ae2cfb09a282f35c1271c25005cf393ec91ba12badbee62ee48ef3"
ADDRESS_KEY = "018ca08ef0d7cea726e09654b979e9863b27f7215a31719f679a5e1d9a28e784"
