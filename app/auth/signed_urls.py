"""Addresses of pictures that need no key until a time, signed with one.

`?…&expires=1790000000&key=ID&signature=TEXT`: Unix time, the key's id, and a signature of the
address and the time under the API key (`models/key_signatures.py`). Holders of a key can sign
without the server, which has the public key only; revoking the key ends every address that it
signed.
"""

import time
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

import sqlalchemy as sa

from app.errors import Forbidden, InvalidParameter
from app.http.path_prefix import path_below
from models import key_signatures, keys
from models.errors import UnknownKey
from models.key_signatures import CLOCK_SKEW, EXPIRY

NAMES = ("expires", "key", "signature")
MAX_SECONDS = 366 * 24 * 3600  # an address that is valid for longer should be a key


@dataclass(frozen=True)
class Signature:
    """The signing parameters of an address, as text."""

    expires: str
    key: str
    signature: str


def sign(id: str, secret: str, address: str, expires: int, prefix: str = "") -> str:
    """The address, relative or absolute, with its signature. Raises InvalidParameter.

    id: of the key; secret: the API key itself; expires: Unix time, at most MAX_SECONDS ahead;
    prefix: KAO_PATH_PREFIX, which is not signed, as proxies may remove it.
    """
    if expires > time.time() + MAX_SECONDS + CLOCK_SKEW:
        raise InvalidParameter("expires", "is too late", f"at most {MAX_SECONDS:,} seconds ahead")
    try:
        parts = urlsplit(address)
        path, query = _below(prefix.encode(), parts.path.encode()), parts.query.encode()
    except ValueError:  # an invalid IPv6 address, or a lone surrogate
        raise InvalidParameter("url", "cannot be parsed", "the address of a picture") from None
    if split(query)[0] is not None:
        raise InvalidParameter("url", "is signed already", "an address without a signature")
    signature = key_signatures.sign(secret, "address", _message(path, query, str(expires)))
    suffix = f"expires={expires}&key={id}&signature={signature}"
    return parts._replace(query=f"{parts.query}&{suffix}" if query else suffix).geturl()


def split(query: bytes) -> tuple[Signature | None, bytes]:
    """The signature of a raw query, and the query without it; None unless it is complete."""
    values, unsigned_parts = {}, []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if (text := name.decode("latin-1")) in NAMES and text not in values:
            values[text] = value.decode("latin-1")
        else:
            unsigned_parts.append(part)
    return (
        (Signature(**values), b"&".join(unsigned_parts))
        if len(values) == len(NAMES)
        else (None, query)
    )


def verify(database: sa.Engine, signature: Signature, path: bytes, query: bytes) -> None:
    """Raise Forbidden unless the address is signed and valid now; query: without the signature."""
    try:
        key = keys.get(database, signature.key)
    except UnknownKey:
        raise Forbidden("The key that signed this address is unknown or revoked.") from None
    message = _message(path, query, signature.expires)
    if key.address_key is None or not key_signatures.is_valid(
        key.address_key, signature.signature, message
    ):
        raise Forbidden("The signature does not match the address; sign the exact address.")
    if "avatars" not in key.scopes:
        raise Forbidden("The key that signed this address does not have the scope 'avatars'.")
    if not EXPIRY.fullmatch(signature.expires):
        raise Forbidden("The expiry of this address is not a Unix time.")
    if int(signature.expires) < time.time():
        raise Forbidden("This address has expired; ask for a new one.")
    if int(signature.expires) > time.time() + MAX_SECONDS + CLOCK_SKEW:
        raise Forbidden(f"This address expires more than {MAX_SECONDS:,} seconds from now.")


def _below(prefix: bytes, path: bytes) -> bytes:
    below = path_below(prefix, path) if prefix else None
    return path if below is None else b"/" + below


def _message(path: bytes, query: bytes, expires: str) -> str:
    return f"{canonical(path, query)}\n{expires}"


def canonical(path: bytes, query: bytes) -> str:
    """One text for all spellings of an address: decoded, sorted by name, encoded again."""
    pairs = [part.replace(b"+", b" ").partition(b"=") for part in query.split(b"&") if part]
    parameters = sorted(f"{_normalise(name)}={_normalise(value)}" for name, _, value in pairs)
    return f"{quote(unquote_to_bytes(path), safe='/')}?{'&'.join(parameters)}"


def _normalise(raw: bytes) -> str:
    return quote(unquote_to_bytes(raw), safe="")
