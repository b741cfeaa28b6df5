"""Addresses of pictures that open without a key until a time, signed by one.

`?…&expires=1790000000&key=ID&signature=HEX`, the signature being an HMAC-SHA256 (RFC 2104) of the
address and the time under the SHA-256 of the key. So whoever has a key can sign without asking the
server, and revoking the key ends every address that it signed.
"""

import hmac
import time
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

import sqlalchemy as sa

from app.errors import Forbidden, InvalidParameter
from models import keys
from models.errors import UnknownKey
from models.keys import Key

NAMES = ("expires", "key", "signature")
PREFIX = "kao-address-1"  # so that no other use of the same secret gives the same signature


@dataclass(frozen=True)
class Signature:
    """What a signed address carries, as it was sent."""

    expires: str
    key: str
    signature: str


def sign(key: Key, address: str, expires: int) -> str:
    """The address, relative or whole, with its signature. Raises InvalidParameter.

    expires: Unix time, seconds.
    """
    try:
        parts = urlsplit(address)
        path, query = parts.path.encode(), parts.query.encode()
    except ValueError:  # brackets that hold no IPv6 address, or a lone surrogate
        raise InvalidParameter("url", "cannot be read", "a picture's address") from None
    if split(query)[0] is not None:
        raise InvalidParameter("url", "is signed already", "an address without a signature")
    added = f"expires={expires}&key={key.id}&signature={_hmac(key, path, query, str(expires))}"
    return parts._replace(query=f"{parts.query}&{added}" if query else added).geturl()


def split(query: bytes) -> tuple[Signature | None, bytes]:
    """A raw query's signature, and the query without it. None unless all of it is there."""
    found, rest = {}, []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if (text := name.decode("latin-1")) in NAMES and text not in found:
            found[text] = value.decode("latin-1")
        else:
            rest.append(part)
    return (Signature(**found), b"&".join(rest)) if len(found) == len(NAMES) else (None, query)


def verify(database: sa.Engine, signed: Signature, path: bytes, query: bytes) -> None:
    """`query` is without the signature. Raises Forbidden."""
    try:
        key = keys.get(database, signed.key)
    except UnknownKey:
        raise Forbidden("The key that signed this address does not exist any more.") from None
    right = _hmac(key, path, query, signed.expires)
    if not hmac.compare_digest(right.encode(), signed.signature.encode()):
        raise Forbidden("The signature does not fit the address; sign exactly what is asked for.")
    if "avatars" not in key.scopes:
        raise Forbidden("The key that signed this address may not see pictures.")
    if int(signed.expires) < time.time():  # ours once the signature fits, so a number
        raise Forbidden("This address has expired; ask for a new one.")


def _hmac(key: Key, path: bytes, query: bytes, expires: str) -> str:
    told = f"{PREFIX}\n{canonical(path, query)}\n{expires}"
    return hmac.digest(bytes.fromhex(key.hash), told.encode(), "sha256").hex()


def canonical(path: bytes, query: bytes) -> str:
    """One text for every spelling of an address: decoded, sorted by name, encoded again."""
    pairs = [part.replace(b"+", b" ").partition(b"=") for part in query.split(b"&") if part]
    words = sorted(f"{_again(name)}={_again(value)}" for name, _, value in pairs)
    return f"{quote(unquote_to_bytes(path), safe='/')}?{'&'.join(words)}"


def _again(raw: bytes) -> str:
    return quote(unquote_to_bytes(raw), safe="")
