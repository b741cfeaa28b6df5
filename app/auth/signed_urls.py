"""Addresses of pictures that need no key until a time, signed with one.

`?…&expires=1790000000&key=ID&signature=TEXT`: Unix time, the key's id, and a signature of the
address and the time under the API key (`models/key_signatures.py`). Holders of a key can sign
without the server, which has the public key only; revoking the key ends every address that it
signed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

import sqlalchemy as sa

from app.errors import Forbidden, InvalidParameter
from app.http.path_prefix import path_below
from app.http.query_string import is_tracking
from models import key_signatures, keys
from models.errors import UnknownKey
from models.key_signatures import CLOCK_SKEW, EXPIRY

NAMES = ("expires", "key", "signature")
MAX_SECONDS = 366 * 24 * 3600  # an address that is valid for longer should be a key
# Characters of an address that `sign` keeps: those of URLs, and what is percent-encoded already.
_SAFE = "/?:@!$&'()*+,;=-._~%"


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
    if not parts.path.startswith("/"):
        raise InvalidParameter("url", "has no path", "the address of a picture, as /avatar?seed=42")
    if not {*NAMES}.isdisjoint(_name(part) for part in _parts(query)):
        raise InvalidParameter("url", "is signed already", "an address without a signature")
    signature = key_signatures.sign(secret, "address", _message(path, query, str(expires)))
    suffix = f"expires={expires}&key={id}&signature={signature}"
    query_text = f"{parts.query}&{suffix}" if query else suffix
    encoded_parts = {"path": quote(parts.path, _SAFE), "query": quote(query_text, _SAFE)}
    return parts._replace(**encoded_parts).geturl()


def split(query: bytes) -> tuple[Signature | None, list[bytes]]:
    """The signature of a raw query, and the queries that it may sign; None unless it is complete.

    The first is the query without the signature. The second lacks what newsletters and social
    networks appended behind the signature too: it has to be answered without that.
    """
    values: dict[str, str] = {}
    own_parts, appended_parts = list[bytes](), list[bytes]()
    for part in _parts(query):
        name = _name(part)
        if name in NAMES and name not in values:
            values[name] = part.partition(b"=")[2].decode("latin-1")
        else:
            (appended_parts if len(values) == len(NAMES) else own_parts).append(part)
    if len(values) < len(NAMES):
        return None, [query]
    untracked_parts = [part for part in appended_parts if not is_tracking(_name(part))]
    queries = (b"&".join(own_parts + parts) for parts in (appended_parts, untracked_parts))
    return Signature(**values), list(dict.fromkeys(queries))


def verify(
    database: sa.Engine, signature: Signature, path: bytes, queries: Sequence[bytes]
) -> bytes:
    """The first of `queries` that is signed. Raises Forbidden unless one is, and valid now."""
    try:
        key = keys.get(database, signature.key)
    except UnknownKey:
        raise Forbidden("The key that signed this address is unknown or revoked.") from None
    signed_queries = (
        query
        for query in queries
        if key.address_key is not None
        and key_signatures.is_valid(
            key.address_key, signature.signature, _message(path, query, signature.expires)
        )
    )
    if (query := next(signed_queries, None)) is None:
        raise Forbidden("The signature does not match the address; sign the exact address.")
    if "avatars" not in key.scopes:
        raise Forbidden("The key that signed this address does not have the scope 'avatars'.")
    if not EXPIRY.fullmatch(signature.expires):
        raise Forbidden("The expiry of this address is not a Unix time.")
    if int(signature.expires) < time.time():
        raise Forbidden("This address has expired; ask for a new one.")
    if int(signature.expires) > time.time() + MAX_SECONDS + CLOCK_SKEW:
        raise Forbidden(f"This address expires more than {MAX_SECONDS:,} seconds from now.")
    return query


def _below(prefix: bytes, path: bytes) -> bytes:
    """The path as the server's routes get it (`app/http/path_prefix.py`)."""
    below = path_below(prefix, b"/" + path.lstrip(b"/")) if prefix else None
    return b"/" + (path if below is None else below).lstrip(b"/")


def _message(path: bytes, query: bytes, expires: str) -> str:
    return f"{canonical(path, query)}\n{expires}"


def canonical(path: bytes, query: bytes) -> str:
    """One text for all spellings of an address: decoded, sorted by name, encoded again."""
    pairs = [part.replace(b"+", b" ").partition(b"=") for part in _parts(query)]
    parameters = sorted(f"{_normalise(name)}={_normalise(value)}" for name, _, value in pairs)
    return f"{quote(unquote_to_bytes(path), safe='/')}?{'&'.join(parameters)}"


def _parts(query: bytes) -> list[bytes]:
    """The parameters of a raw query, also of one that was escaped for HTML twice."""
    return [part.removeprefix(b"amp;") for part in query.split(b"&") if part]


def _name(part: bytes) -> str:
    return unquote_to_bytes(part.partition(b"=")[0]).decode(errors="replace")


def _normalise(raw: bytes) -> str:
    return quote(unquote_to_bytes(raw), safe="")
