"""API keys over HTTP, and addresses signed with them."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.auth import signed_urls
from app.auth.scopes import needs
from app.errors import Forbidden, PublicAvatars
from app.http.query_string import Only
from app.state import Services, services
from models import keys
from models.keys import LONGEST_NAME, Scope

router = APIRouter(tags=["access"], dependencies=[Depends(Only())])
Held = Annotated[Services, Depends(services)]
LONGEST = 366 * 24 * 3600  # s; an address for longer is one for ever, and that is a key
ADDRESS = 8192  # characters


class Key(BaseModel):
    """What may be told of a key; the key itself is shown once, when it is made."""

    id: str = Field(examples=["5f0c8e3d9a21"])
    name: str = Field(examples=["ci"])
    scopes: list[Scope]
    created: str
    revoked: str | None


class NewKey(Key):
    """With the key itself."""

    key: str = Field(examples=["kao_…"])


class Keys(BaseModel):
    """All of them, the newest first."""

    keys: list[Key]


class AskedKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=LONGEST_NAME, examples=["ci"])
    scopes: list[Scope] = Field(min_length=1, examples=[["read", "train"]])


class AskedAddress(BaseModel):
    """A picture's address to sign."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=ADDRESS, examples=["/avatar?seed=42"])
    seconds: int = Field(default=24 * 3600, ge=1, le=LONGEST, description="How long it opens.")


class Signed(BaseModel):
    """An address that opens without a key until `expires` (Unix time)."""

    url: str
    expires: int


@router.post("/keys", status_code=201, dependencies=[needs("keys")], summary="Make a key")
def create(held: Held, request: Request, response: Response, body: AskedKey) -> NewKey:
    """Nobody gives away more than they have: its scopes are among those of the key that asks."""
    more = set(body.scopes) - set(request.state.key.scopes)
    if more:
        raise Forbidden(f"Your own key does not have: {', '.join(sorted(more))}.")
    secret, key = keys.create(held.database, body.name, body.scopes)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Location"] = f"/keys/{key.id}"
    return NewKey(**_shown(key).model_dump(), key=secret)


@router.get("/keys", dependencies=[needs("keys")], summary="The keys, newest first")
def listed(held: Held, response: Response) -> Keys:
    """Without the keys themselves, which nobody can read again."""
    response.headers["Cache-Control"] = "no-store"
    return Keys(keys=[_shown(key) for key in keys.listed(held.database)])


@router.delete("/keys/{id}", status_code=204, dependencies=[needs("keys")], summary="Revoke a key")
def revoke(held: Held, id: str) -> None:
    """It opens nothing any more, at any server, and neither do the addresses that it signed."""
    keys.revoke(held.database, id)


@router.post("/sign", dependencies=[needs("avatars")], summary="Sign a picture's address")
def sign(held: Held, request: Request, response: Response, body: AskedAddress) -> Signed:
    """For pictures that are not open to all: the address opens without a key, for a while."""
    if held.settings.public_avatars:
        raise PublicAvatars("Pictures are open to all here; the address works as it is.")
    expires = int(time.time()) + body.seconds
    response.headers["Cache-Control"] = "no-store"
    return Signed(url=signed_urls.sign(request.state.key, body.url, expires), expires=expires)


def _shown(key: keys.Key) -> Key:
    return Key(**{name: getattr(key, name) for name in Key.model_fields})
