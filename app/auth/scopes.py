"""Who may do what: whoever presents an active API key, or a browser's session that one opened,
with the scope that a route declares.

A route says `dependencies=[needs("train")]`; that is checked, and is in the OpenAPI document.
"""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.responses import Response

from app.auth import sessions, signed_urls
from app.errors import Forbidden, Unauthorised
from app.state import Services, services
from models import keys
from models.keys import Key, Scope

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key; the first is in the file `api-key` in KAO_HOME.",
)


def needs(scope: Scope) -> Any:
    """The dependency of a route that only a key with this scope may use."""
    return Security(_allow, scopes=[scope])


def identify(held: Services, request: Request) -> Key | None:
    """Whose request this is; None: nobody says. Raises Unauthorised for a key that opens nothing.

    Asks the database, so call it in a thread.
    """
    kind, _, presented = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return sessions.holder(held.database, request)
    key = keys.find(held.database, presented.strip())
    if key is None:
        raise Unauthorised(f"The API key is not known, or was revoked. {_HOW}")
    return key


def require(key: Key | None, scope: str) -> Key:
    """Raises Unauthorised without a key, Forbidden without the scope."""
    if key is None:
        raise Unauthorised(f"The API key is missing. {_HOW}")
    if scope not in key.scopes:
        raise Forbidden(
            f"This needs a key with the scope {scope!r}; {key.name!r} has "
            f"{', '.join(key.scopes)}. `kao keys create` makes another.",
            scope,
        )
    return key


async def admit(request: Request) -> None:
    """Let a picture through that is not open to all: by a key, or by a signed address.

    The signature is taken off the query, which the routes read strictly.
    """
    held: Services = request.app.state.services
    signature, rest = signed_urls.split(request.scope["query_string"])
    if signature is None:
        await _identified(held, request)
        require(request.state.key, "avatars")
        return
    path = request.scope["raw_path"]
    try:
        await run_in_threadpool(signed_urls.verify, held.database, signature, path, rest)
    except Forbidden:
        await held.limiter.call(request)
        raise
    request.scope["query_string"] = rest


def keep_private(answer: Response) -> None:
    """No shared cache may give to others what somebody had to have a key for."""
    allowed = answer.headers.get("cache-control", "")
    answer.headers["Cache-Control"] = allowed.replace("public", "private")


def open_pictures(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document that what asks for `avatars` opens without a key too."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation.get("security") == [{_bearer.scheme_name: ["avatars"]}]:
                operation["security"].append({})


async def _allow(
    scopes: SecurityScopes,
    request: Request,
    response: Response,
    held: Annotated[Services, Depends(services)],
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    (scope,) = scopes.scopes
    closed = scope != "avatars" or not held.settings.public_avatars
    if closed:
        await _identified(held, request)
    response.headers.update(await held.limiter.call(request))
    if closed:
        require(request.state.key, scope)


async def _identified(held: Services, request: Request) -> None:
    """Keep the key of a request in its state, None without one; a wrong one is counted."""
    try:
        request.state.key = await run_in_threadpool(identify, held, request)
    except Unauthorised:
        await held.limiter.call(request)
        raise


_HOW = (
    "Send `Authorization: Bearer KEY`; the first key is KAO_API_KEY, or else in the file api-key "
    "in KAO_HOME, and `kao keys create` makes more."
)
