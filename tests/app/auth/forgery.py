"""What a reader of the database would try, to become the holder of a key."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def signatures_from(values: Iterable[Any], messages: Iterable[str]) -> Iterator[str]:
    """Signatures of each message, with each stored value as the secret, in every known way."""
    for secret in _secrets(values):
        for message in messages:
            for prefix in ("", "kao-session-1\n", "kao-address-1\n"):
                yield hmac.digest(secret, f"{prefix}{message}".encode(), "sha256").hex()
            for purpose in ("session", "address"):
                expanded_key = hmac.digest(secret, f"kao-{purpose}-2".encode(), "sha256")
                for seed in (secret, expanded_key):
                    if len(seed) == 32:
                        key = Ed25519PrivateKey.from_private_bytes(seed)
                        signature = key.sign(message.encode())
                        yield urlsafe_b64encode(signature).decode().rstrip("=")


def session_cookies(id: str, expires: int, values: Iterable[Any]) -> Iterator[str]:
    """Cookies of a key's id, signed with what the database has of it."""
    message = f"{id}\n{expires}"
    for signature in signatures_from(values, [message]):
        yield f"{id}.{expires}.{signature}"


def _secrets(values: Iterable[Any]) -> Iterator[bytes]:
    for value in values:
        if isinstance(value, str):
            yield value.encode()
            yield hashlib.sha256(value.encode()).digest()
            try:
                yield bytes.fromhex(value)
            except ValueError:
                continue
