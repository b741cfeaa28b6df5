"""API keys, browser sessions and signed addresses over HTTP."""

import time

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from app.auth import schemas, sessions, signed_urls
from app.auth.scopes import HOW_TO_GET_A_KEY, needs, presented_key
from app.errors import Forbidden, PublicAvatars, Unauthorised
from app.http.path_prefix import root_of
from app.http.query_string import Only
from app.state import State
from models import keys

router = APIRouter(tags=["access"], dependencies=[Depends(Only())])


@router.post("/keys", status_code=201, dependencies=[needs("keys")], summary="Make a key")
def create_key(
    state: State, request: Request, response: Response, body: schemas.KeyRequest
) -> schemas.NewKey:
    """Its scopes must be among those of the key that makes it."""
    _require_own_scopes(request, body.scopes)
    secret, key = keys.create(state.database, body.name, body.scopes)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Location"] = f"/keys/{key.id}"
    return schemas.NewKey(**_public(key).model_dump(), key=secret)


@router.get("/keys", dependencies=[needs("keys")], summary="List the keys, newest first")
def list_keys(state: State, response: Response) -> schemas.Keys:
    """Without the keys themselves, which cannot be read again."""
    response.headers["Cache-Control"] = "no-store"
    return schemas.Keys(keys=[_public(key) for key in keys.list_keys(state.database)])


@router.delete("/keys/{id}", status_code=204, dependencies=[needs("keys")], summary="Revoke a key")
def revoke_key(state: State, request: Request, id: str) -> None:
    """It ends at every server at once, with its sessions, its event streams and what it signed.

    403 for a key with a scope that your own lacks; 409 for the last one that manages keys.
    """
    _require_own_scopes(request, keys.lookup(state.database, id).scopes)
    keys.revoke(state.database, id)


@router.post("/sign", dependencies=[needs("avatars")], summary="Sign the address of a picture")
def sign(
    state: State, request: Request, response: Response, body: schemas.SignRequest
) -> schemas.SignedUrl:
    """Where pictures are not public: the signed address needs no key until it expires.

    Needs `Authorization`: a session cannot sign, because the server does not have the key.
    """
    if state.settings.public_avatars:
        raise PublicAvatars("Pictures are public here; the address works as it is.")
    secret = presented_key(request)
    if secret is None:
        raise Forbidden("Only the key itself can sign: send `Authorization: Bearer KEY`.")
    expires = int(time.time()) + body.seconds
    response.headers["Cache-Control"] = "no-store"
    url = signed_urls.sign(request.state.key.id, secret, body.url, expires, root_of(request))
    return schemas.SignedUrl(url=url, expires=expires)


@router.post("/session", summary="Log a browser in")
async def log_in(
    state: State, request: Request, response: Response, body: schemas.Login
) -> schemas.Session:
    """Set a cookie with the scopes of the key, for a week; only from pages of this server."""
    # Charged before the key is checked, so that guesses are charged too.
    response.headers.update(await state.limiter.charge_call(request))
    sessions.require_same_origin(request)
    secret = body.key.strip()
    key = await to_thread.run_sync(keys.find, state.database, secret, limiter=state.key_threads)
    if key is None:
        raise Unauthorised(f"The key is unknown or revoked. {HOW_TO_GET_A_KEY}")
    request.state.key = key  # for the access log
    expires = sessions.start(response, request, key.id, secret)
    return schemas.Session.model_validate(
        {"name": key.name, "scopes": key.scopes, "expires": expires}
    )


@router.delete("/session", status_code=204, summary="Log a browser out")
async def log_out(state: State, request: Request, response: Response) -> None:
    """Delete the cookie, also where its session has ended."""
    response.headers.update(await state.limiter.charge_call(request))
    sessions.require_same_origin(request)
    sessions.end(response, request)


def _require_own_scopes(request: Request, scopes: keys.Scopes) -> None:
    """Raise Forbidden for scopes that the key of the request lacks."""
    missing = set(scopes) - set(request.state.key.scopes)
    if missing:
        raise Forbidden(f"Your own key does not have: {', '.join(sorted(missing))}.")


def _public(key: keys.Key) -> schemas.Key:
    return schemas.Key(**{name: getattr(key, name) for name in schemas.Key.model_fields})
