"""Browser sessions: a cookie that a login with an API key makes, and that ends with that key.

The cookie is `ID.EXPIRES.SIGNATURE`: the key's id, Unix time, and a signature of both under the
API key (`models/key_signatures.py`). The database has the public key only, so nothing that a server
stores makes a session; every server can verify it, and revoking the key ends all its sessions.
"""

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import Request, Response

from app.errors import Forbidden, Unauthorised
from app.http.path_prefix import root_of
from models import key_signatures, keys
from models.errors import UnknownKey
from models.key_signatures import CLOCK_SKEW, EXPIRY
from models.keys import Key

COOKIE = "kao_session"
LIFETIME = 7 * 24 * 3600  # s
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SESSION_ENDED = "Your session has ended; log in again at /studio."


@dataclass(frozen=True)
class OpenSession:
    """A verified session; `expires` in Unix time."""

    key: Key
    expires: int


def start(response: Response, request: Request, id: str, secret: str) -> int:
    """Set the cookie of a new session; its end in Unix time. secret: the API key itself."""
    expires = int(time.time()) + LIFETIME
    signature = key_signatures.sign(secret, "session", _message(id, str(expires)))
    _set(response, request, f"{id}.{expires}.{signature}", LIFETIME)
    return expires


def end(response: Response, request: Request) -> None:
    """Delete the cookie."""
    _set(response, request, "", 0)


def read(database: sa.Engine, request: Request) -> OpenSession | None:
    """The session of a request; None without a cookie. Blocks on the database.

    Raises Unauthorised for one that has ended, and Forbidden for a request that may change
    something and that another site may have caused.
    """
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    session = _verify(database, cookie)
    if request.method not in SAFE_METHODS:
        require_same_origin(request)
    return session


def require_same_origin(request: Request) -> None:
    """Raise Forbidden unless a page of this server caused the request.

    SameSite=Strict alone admits other ports and subdomains of the host.
    """
    # Sent to https and localhost; scripts cannot change it (W3C Fetch Metadata).
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_same = site == "same-origin"
    else:
        origin = request.headers.get("origin", "")
        # With the origin's scheme: a proxy may have terminated TLS.
        host = f"{origin.partition(':')[0]}://{request.headers.get('host', '')}"
        is_same = _host(origin) is not None and _host(origin) == _host(host)
    if not is_same:
        raise Forbidden(
            "A session works from pages of this server only (Origin); elsewhere send "
            "`Authorization: Bearer KEY`."
        )


def _host(origin: str) -> tuple[str, int] | None:
    ports = {"http": 80, "https": 443}
    try:
        parts = urlsplit(origin)
        if parts.hostname is None or parts.scheme not in ports:
            return None
        return parts.hostname, parts.port or ports[parts.scheme]
    except ValueError:  # an invalid port or IPv6 address
        return None


def _verify(database: sa.Engine, cookie: str) -> OpenSession:
    id, _, remainder = cookie.partition(".")
    expires, _, signature = remainder.partition(".")
    try:
        key = keys.get(database, id)
    except UnknownKey:
        raise Unauthorised(SESSION_ENDED) from None
    if key.session_key is None or not EXPIRY.fullmatch(expires):
        raise Unauthorised(SESSION_ENDED)
    # Also capped, so that no cookie outlives what this server would have granted.
    if not time.time() <= int(expires) <= time.time() + LIFETIME + CLOCK_SKEW:
        raise Unauthorised(SESSION_ENDED)
    if not key_signatures.is_valid(key.session_key, signature, _message(id, expires)):
        raise Unauthorised(SESSION_ENDED)
    return OpenSession(key, int(expires))


def _message(id: str, expires: str) -> str:
    return f"{id}\n{expires}"


def _set(response: Response, request: Request, value: str, seconds: int) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path=root_of(request) or "/",  # below a path prefix, other apps do not get it
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
