"""Avatars over HTTP."""

from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.auth import scopes
from app.avatars import gravatar
from app.avatars.bulk import response
from app.avatars.cache import http_headers
from app.avatars.encode.formats import FORMATS
from app.avatars.request import picture_request
from app.avatars.request.picture_request import Asked
from app.avatars.request.picture_types import AVATAR, KINDS, Kind
from app.avatars.service import cost, drawn, understood
from app.state import Services


class Plain(APIRoute):
    """A route whose function reads the request itself: FastAPI documents it and keeps out."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Call the function with the request and what the path names; it makes the response."""

        async def handle(request: Request) -> Response:
            if request.app.state.services.settings.public_avatars:
                return await self._answer(request)
            await scopes.admit(request)
            answer = await self._answer(request)
            scopes.keep_private(answer)
            return answer

        return handle

    async def _answer(self, request: Request) -> Response:
        answer: Response = await self.endpoint(request, **request.path_params)
        return answer


router = APIRouter(tags=["avatars"], route_class=Plain, dependencies=[scopes.needs("avatars")])

_HEADERS = {
    "X-Avatar-Seed": {"schema": {"type": "string"}, "description": "Percent-encoded."},
    "X-Avatar-Model": {"schema": {"type": "string"}, "description": "The version."},
}


def _answers(names: Sequence[str]) -> dict[int | str, dict[str, Any]]:
    pictures: dict[str, Any] = {FORMATS[name].media: {} for name in names}
    return {
        200: {"description": "The picture.", "content": pictures, "headers": _HEADERS},
        304: {"description": "The client has it already."},
        404: {"description": "There is no such model."},
        503: {"description": "Overloaded, or no model yet; see Retry-After."},
    }


# Which there are depends on the model; form and explode: each is a parameter of its own.
TRAITS = {
    "name": "traits",
    "in": "query",
    "description": "What the model lets one choose: `GET /models/{name}` lists names and values.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def _documented(kind: Kind, without: Collection[str] = ()) -> dict[str, Any]:
    """OpenAPI parameters, since the routes read the raw query themselves."""
    named = {
        "name": "format",
        "in": "query",
        "description": "Else the Accept header chooses, else the first that the picture can be.",
        "schema": {"type": "string", "enum": list(kind.all_formats)},
        "example": "webp",
    }
    rows = [row.documented() for row in kind.rows if row.name not in without]
    return {"parameters": [*rows, named, TRAITS]}


def _add(path: str, answer: Callable[..., Any], kind: Kind, **more: Any) -> None:
    """The route and its HEAD; its description shows a picture of it."""
    shown = f"{kind.text}\n\n![{kind.summary}]({kind.example})"
    fields = {
        "summary": kind.summary,
        "description": shown,
        "response_class": Response,
        "responses": _answers(kind.all_formats),
        "openapi_extra": _documented(kind),
    }
    router.add_api_route(path, answer, methods=["GET"], **{**fields, **more})
    router.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)


async def picture(request: Request, kind: Kind) -> Response:
    """Any kind of picture, as the query says."""
    query, accept = request.scope["query_string"], request.headers.get("accept")
    asked, again = picture_request.from_query(kind, query, accept)
    return await _answer(request, asked, again)


async def avatar(request: Request) -> Response:
    """`GET /avatar`, for who comes past FastAPI's routing too."""
    return await picture(request, AVATAR)


async def random(request: Request) -> Response:
    """302 to `/avatar?seed=…` with the other parameters kept."""
    engine = request.app.state.services.engine
    asked, words = picture_request.random(request.scope["query_string"])
    await understood(engine, await engine.resolve(asked.model), asked)
    query = urlencode(words, quote_via=quote)
    location = f"{request.scope.get('root_path', '')}/avatar?{query}"
    headers = {"Location": location, "Cache-Control": http_headers.NEVER}
    return Response(status_code=302, headers={**headers, "Access-Control-Allow-Origin": "*"})


async def named(request: Request, name: str) -> Response:
    """`name` is Gravatar's hash; or a seed up to its last dot, and an extension; or a bare seed."""
    query, accept = request.scope["query_string"], request.headers.get("accept")
    if gravatar.is_hash(name):
        wanted = gravatar.read(name, query, accept)
        if isinstance(wanted, Response):
            return wanted
        return await _answer(request, wanted, True)
    # The raw path: the decoded one has lost bytes that were no UTF-8.
    _, _, raw = request.scope["raw_path"].partition(b"/avatar/")
    return await _answer(request, picture_request.from_path(raw, query, accept), True)


async def _answer(request: Request, asked: Asked, again: bool) -> Response:
    held: Services = request.app.state.services
    version = await held.engine.resolve(asked.model)
    asked = await understood(held.engine, version, asked)
    tag = http_headers.etag(version, asked) if again else None
    headers = http_headers.headers(version, asked, tag)
    if tag is not None and http_headers.holds(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    told = {}
    if tag is None or held.pictures.get(tag) is None:  # what is in memory costs nothing
        told = await held.limiter.draw(request, cost(asked))
    draw = partial(drawn, held.engine, version, asked)
    body = await (draw() if tag is None else held.pictures.fetch(tag, draw))
    answer = Response(body, headers=headers, media_type=asked.media)
    if tag is not None:
        held.shortcuts.remember(request.scope, asked.model, version, tag, answer)
    answer.headers.update(told)
    return answer


def _of(kind: Kind) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def answer(request: Request) -> Response:
        return await picture(request, kind)

    return answer


_add("/avatar", avatar, AVATAR)
_add(
    "/avatar/random",
    random,
    AVATAR,
    status_code=302,
    responses={},
    summary="A redirect to a new face",
    description="302 to `/avatar?seed=…` with the other parameters kept.",
    openapi_extra=_documented(AVATAR, without={"seed"}),
)
_add(
    "/avatar/{name:path}",
    named,
    AVATAR,
    summary="The face of a seed, with an extension; or of a Gravatar hash",
    description=named.__doc__,
    openapi_extra=_documented(AVATAR, without={"seed"}),
)
router.add_api_route("/avatars", response.answer, methods=["POST"], **response.DOCUMENTED)
for kind in KINDS[1:]:
    _add(kind.path, _of(kind), kind)
