"""The cookie of a browser that showed a key: never the key itself, and it ends with that key.

`ID.EXPIRES.SIGNATURE`, the signature being an HMAC-SHA256 (RFC 2104) of the first two under the
SHA-256 of the key, as signed addresses have it (app/auth/signed_urls.py). So nothing is stored, any
server can check it, and revoking the key ends every session that it opened.
"""

import hmac
import time
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import Request
from starlette.responses import Response

from app.errors import Forbidden, Unauthorised
from models import keys
from models.errors import UnknownKey
from models.keys import Key

NAME = "kao_session"
PREFIX = "kao-session-1"  # so that a signed address is no session, nor the other way round
LASTS = 7 * 24 * 3600  # s
SAFE = ("GET", "HEAD", "OPTIONS")
ENDED = "Your session has ended; log in again at /studio."


def give(response: Response, request: Request, key: Key) -> int:
    """Log a browser in; when that ends, in Unix time."""
    expires = int(time.time()) + LASTS
    _set(response, request, f"{key.id}.{expires}.{_sign(key, expires)}", LASTS)
    return expires


def take_back(response: Response, request: Request) -> None:
    """Log a browser out."""
    _set(response, request, "", 0)


def holder(database: sa.Engine, request: Request) -> Key | None:
    """Whose session this request carries; None without a cookie.

    Asks the database. Raises Unauthorised for a session that has ended, and Forbidden where
    another site may have made the browser send it.
    """
    told = request.cookies.get(NAME)
    if not told:
        return None
    key = _read(database, told)
    if request.method not in SAFE:
        require_same_origin(request)
    return key


def require_same_origin(request: Request) -> None:
    """Raises Forbidden unless the browser says that a page of this server asks.

    SameSite=Strict alone lets other ports and subdomains of our host through.
    """
    # Browsers send it to https and to this machine; a page cannot change it (W3C Fetch Metadata).
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        own = site == "same-origin"
    else:
        origin = request.headers.get("origin", "")
        # A proxy may have ended TLS, so the scheme that arrives here may be another.
        own = _host(origin) is not None and _host(origin) == _host(
            f"{urlsplit(origin).scheme}://{request.headers.get('host', '')}"
        )
    if not own:
        raise Forbidden(
            "A session works from this server's own pages alone (Origin); elsewhere send "
            "`Authorization: Bearer KEY`."
        )


def _host(origin: str) -> tuple[str, int] | None:
    ports = {"http": 80, "https": 443}
    try:
        parts = urlsplit(origin)
        if parts.hostname is None or parts.scheme not in ports:
            return None
        return parts.hostname, parts.port or ports[parts.scheme]
    except ValueError:  # a port that is none, brackets that hold no address
        return None


def _read(database: sa.Engine, told: str) -> Key:
    id, _, rest = told.partition(".")
    expires, _, signature = rest.partition(".")
    try:
        key = keys.get(database, id)
    except UnknownKey:
        raise Unauthorised(ENDED) from None
    right = _sign(key, expires)
    if not hmac.compare_digest(right.encode(), signature.encode(errors="replace")):
        raise Unauthorised(ENDED)
    if int(expires) < time.time():  # ours once the signature fits, so a number
        raise Unauthorised(ENDED)
    return key


def _sign(key: Key, expires: int | str) -> str:
    told = f"{PREFIX}\n{key.id}\n{expires}"
    return hmac.digest(bytes.fromhex(key.hash), told.encode(errors="replace"), "sha256").hex()


def _set(response: Response, request: Request, value: str, seconds: int) -> None:
    response.set_cookie(
        NAME,
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
