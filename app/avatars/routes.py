"""Avatars over HTTP."""

from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request, Response

from app.avatars import caching, parameters
from app.avatars.imaging import picture
from app.avatars.parameters import Asked
from app.services import Services, services
from models import latents

router = APIRouter(prefix="/avatar", tags=["avatars"])
Held = Annotated[Services, Depends(services)]

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A square picture of a face.",
        "content": {f"image/{name}": {} for name in parameters.FORMATS},
        "headers": {
            "X-Avatar-Seed": {"schema": {"type": "string"}, "description": "Percent-encoded."},
            "X-Avatar-Model": {"schema": {"type": "string"}, "description": "The version."},
        },
    },
    304: {"description": "The client has it already."},
    404: {"description": "There is no such model."},
    503: {"description": "Overloaded, or no model yet; see Retry-After."},
}


@router.head("", include_in_schema=False)
@router.get(
    "",
    response_class=Response,
    responses=_PICTURE,
    openapi_extra=parameters.documented(seed=True),
    summary="The face of a seed",
)
async def avatar(request: Request, held: Held) -> Response:
    """The same seed is the same face, always; without one, a face that nobody saw before."""
    query, accept = request.scope["query_string"], request.headers.get("accept")
    asked, seeded = parameters.from_query(query, accept)
    return await _answer(request, held, asked, seeded)


@router.head("/random", include_in_schema=False)
@router.get(
    "/random",
    status_code=302,
    response_class=Response,
    openapi_extra=parameters.documented(seed=False),
    summary="A redirect to a new face",
)
async def random(request: Request) -> Response:
    """302 to `/avatar?seed=…` with the other parameters kept."""
    given = parameters.options(request.scope["query_string"])
    query = urlencode({"seed": latents.random_seed(), **given}, quote_via=quote)
    location = f"{request.scope.get('root_path', '')}/avatar?{query}"
    headers = {"Location": location, "Cache-Control": caching.NEVER}
    return Response(status_code=302, headers={**headers, "Access-Control-Allow-Origin": "*"})


@router.head("/{name:path}", include_in_schema=False)
@router.get(
    "/{name:path}",
    response_class=Response,
    responses=_PICTURE,
    openapi_extra=parameters.documented(seed=False),
    summary="The face of a seed, with an extension",
)
async def named(request: Request, name: str, held: Held) -> Response:
    """`name` is a seed up to its last dot and `png`, `webp`, `jpg` or `jpeg`; or a bare seed."""
    # The raw path: the decoded one has lost bytes that were no UTF-8.
    _, _, raw = request.scope["raw_path"].partition(b"/avatar/")
    query, accept = request.scope["query_string"], request.headers.get("accept")
    return await _answer(request, held, parameters.from_path(raw, query, accept), True)


async def _answer(request: Request, held: Services, asked: Asked, seeded: bool) -> Response:
    version = await held.engine.resolve(asked.model)
    tag = caching.etag(version, asked) if seeded else None
    headers = caching.headers(version, asked, tag)
    if tag is not None and caching.holds(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    drawer = await held.engine.drawer(version)
    body = await held.engine.run(partial(picture, drawer, asked))
    return Response(body, headers=headers, media_type=f"image/{asked.format}")
