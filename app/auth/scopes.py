"""Authorises requests: an active API key, or a browser session of one, with the route's scope.

A route declares `dependencies=[needs("train")]`, which is enforced and documented in OpenAPI.
"""

import time
from typing import Annotated, Any

from anyio import to_thread
from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from app.auth import sessions, signed_urls
from app.errors import Forbidden, Unauthorised
from app.state import AppState, State, get_state
from models import keys
from models.errors import UnknownKey
from models.keys import Key, Scope

HOW_TO_GET_A_KEY = (
    "The first key is KAO_API_KEY, or else in the file api-key in KAO_HOME; "
    "`kao keys create NAME` makes another."
)
HOW_TO_SEND_A_KEY = f"Send `Authorization: Bearer KEY`. {HOW_TO_GET_A_KEY}"
BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key; the first one is in the file `api-key` in KAO_HOME.",
)


def needs(scope: Scope) -> Any:
    """The dependency of a route that requires a key with this scope."""
    return Security(_authorise, scopes=[scope])


def presented_key(request: Request) -> str | None:
    """The API key in the request's Authorization header."""
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def identify(state: AppState, request: Request) -> Key | None:
    """The key of a request or of its session; None without either.

    Raises Unauthorised for an invalid one. Reads the database, so call it in a thread.
    """
    secret = presented_key(request)
    if secret is None:
        session = sessions.read(state.database, request)
        request.state.session_expires = session.expires if session else None
        return session.key if session else None
    key = keys.find(state.database, secret)
    if key is None:
        raise Unauthorised(f"The API key is unknown or revoked. {HOW_TO_SEND_A_KEY}")
    return key


def is_still_valid(state: AppState, request: Request) -> bool:
    """Whether the key or session that opened a long answer still exists; blocks on the database."""
    key: Key | None = getattr(request.state, "key", None)
    if key is None:
        return True
    expires = getattr(request.state, "session_expires", None)
    if expires is not None and expires < time.time():
        return False
    try:
        keys.get(state.database, key.id)
    except UnknownKey:
        return False
    return True


async def require_valid(state: AppState, request: Request) -> None:
    """Raise Unauthorised where the key or session of a long request has ended meanwhile."""
    if getattr(request.state, "key", None) is None:
        return
    if not await to_thread.run_sync(is_still_valid, state, request, limiter=state.key_threads):
        raise Unauthorised("The API key was revoked, or the session ended, during this request.")


def require(key: Key | None, scope: str) -> Key:
    """The key. Raises Unauthorised without one, Forbidden without the scope."""
    if key is None:
        raise Unauthorised(f"The API key is missing. {HOW_TO_SEND_A_KEY}")
    if scope not in key.scopes:
        raise Forbidden(
            f"This needs a key with the scope {scope!r}; {key.name!r} has "
            f"{', '.join(key.scopes)}. `kao keys create` makes another.",
            scope,
        )
    return key


async def admit(request: Request) -> None:
    """Authorise a picture that is not public, by a key or a signed address.

    Removes the signature from the query, which the routes parse strictly. Raises Unauthorised,
    Forbidden, TooManyRequests.
    """
    state = get_state(request)
    signature, queries = signed_urls.split(request.scope["query_string"])
    # A signature covers the address alone, so it opens nothing with a body.
    if signature is None or request.method not in ("GET", "HEAD"):
        await _identify(state, request)
        require(request.state.key, "avatars")
        return
    path = request.scope["raw_path"]
    try:
        request.scope["query_string"] = await to_thread.run_sync(
            signed_urls.verify, state.database, signature, path, queries, limiter=state.key_threads
        )
    except Forbidden:
        await state.limiter.charge_call(request)
        raise


async def _authorise(
    scopes: SecurityScopes,
    request: Request,
    response: Response,
    state: State,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> None:
    (scope,) = scopes.scopes
    needs_key = scope != "avatars" or not state.settings.public_avatars
    if needs_key:
        await _identify(state, request)
    response.headers.update(await state.limiter.charge_call(request))
    if needs_key:
        require(request.state.key, scope)


async def _identify(state: AppState, request: Request) -> None:
    """Store the key of a request, or None, in its state; an invalid key is charged as a call."""
    try:
        request.state.key = await to_thread.run_sync(
            identify, state, request, limiter=state.key_threads
        )
    except Unauthorised:
        await state.limiter.charge_call(request)
        raise
