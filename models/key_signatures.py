"""Signatures under an API key that the server can verify and cannot make (Ed25519, RFC 8032).

The private key of a purpose is derived from the API key: its 32-byte seed is
HMAC-SHA-256(key, "kao-PURPOSE-2"). The database has only the public keys, so a reader of the
database, a backup or a log can forge neither a session nor a signed address; and the private key
for addresses opens pictures only.
"""

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Purpose = Literal["session", "address"]
# Of the expiry that sessions and addresses have in their message, in Unix time.
EXPIRY = re.compile(r"[0-9]{1,12}", re.ASCII)
CLOCK_SKEW = 300  # s between the clocks of who signs and who verifies


def public_key(key: str, purpose: Purpose) -> str:
    """The public key of an API key for a purpose: 64 hex digits."""
    return _private_key(key, purpose).public_key().public_bytes_raw().hex()


def sign(key: str, purpose: Purpose, message: str) -> str:
    """The signature of a message: 86 characters of base64url without padding."""
    signature = _private_key(key, purpose).sign(_encode(message))
    return base64.urlsafe_b64encode(signature).decode().rstrip("=")


def is_valid(public: str, signature: str, message: str) -> bool:
    """Whether the API key of this public key signed the message; any text may be passed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(signature + "==", altchars=b"-_", validate=True)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(raw, _encode(message))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _private_key(key: str, purpose: Purpose) -> "Ed25519PrivateKey":
    # Imported here: a server without sessions and signed addresses saves its 9 MB.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = hmac.digest(_encode(key), f"kao-{purpose}-2".encode(), "sha256")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
