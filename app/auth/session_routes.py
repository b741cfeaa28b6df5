"""Browsers log in: a key becomes a cookie, because EventSource and <img> send no headers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from app.auth import sessions
from app.errors import Unauthorised
from app.http.query_string import Only
from app.state import Services, services
from models import keys
from models.keys import Scope

router = APIRouter(prefix="/session", tags=["access"], dependencies=[Depends(Only())])
Held = Annotated[Services, Depends(services)]


class Login(BaseModel):
    """A key to log in with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=200, examples=["kao_…"])


class Session(BaseModel):
    """Who is logged in, for what, and until when (Unix time)."""

    name: str = Field(examples=["first"])
    scopes: list[Scope]
    expires: int


@router.post("", summary="Log a browser in")
async def log_in(held: Held, request: Request, response: Response, body: Login) -> Session:
    """A cookie that opens what the key opens, for a week; only from this server's own pages."""
    # Guessing costs what any other call costs.
    response.headers.update(await held.limiter.call(request))
    sessions.require_same_origin(request)
    key = await run_in_threadpool(keys.find, held.database, body.key.strip())
    if key is None:
        raise Unauthorised(
            "This key is not known, or was revoked. The first key is in the file api-key in "
            "KAO_HOME; `kao keys create NAME` makes another."
        )
    request.state.key = key  # for the log's line
    expires = sessions.give(response, request, key)
    return Session.model_validate({"name": key.name, "scopes": key.scopes, "expires": expires})


@router.delete("", status_code=204, summary="Log a browser out")
async def log_out(held: Held, request: Request, response: Response) -> None:
    """The browser forgets its cookie; also where its session has ended already."""
    response.headers.update(await held.limiter.call(request))
    sessions.require_same_origin(request)
    sessions.take_back(response, request)
