"""Avatars over HTTP: the GET routes of pictures."""

from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.auth import scopes, signed_urls
from app.avatars import gravatar, service
from app.avatars.bulk import response as bulk
from app.avatars.encode.picture import renderer
from app.avatars.formats import FORMATS, TEXT
from app.avatars.generate.engine import Engine
from app.avatars.gravatar import BlankImage
from app.avatars.request import costs, picture_request
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR, PICTURE_TYPES, PictureType
from app.avatars.request.value_types import percent_encode
from app.avatars.state import get_picture_state
from app.headers import NO_SNIFF, SHARED
from app.http import cache_headers
from app.http.cross_origin import EXPOSED_HEADERS
from app.http.disconnects import cancel_on_disconnect
from app.http.path_prefix import root_of


class PictureRoute(APIRoute):
    """A route whose function parses the request itself; FastAPI only documents it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """A handler that authorises the request and calls the function with the path's values."""

        async def handle(request: Request) -> Response:
            state = get_picture_state(request)
            if state.settings.public_avatars:
                # An address that was signed before pictures were public goes on working.
                _, (query, *_) = signed_urls.split(request.scope["query_string"])
                request.scope["query_string"] = query
                # Also of a request with a cookie or key, which means nothing here.
                await state.limiter.require_calls(request)
            else:
                await scopes.admit(request)
            response: Response = await self.endpoint(request, **request.path_params)
            return response

        return handle


router = APIRouter(
    tags=["avatars"], route_class=PictureRoute, dependencies=[scopes.needs("avatars")]
)

_HEADERS = {
    "X-Avatar-Seed": {"schema": {"type": "string"}, "description": "Percent-encoded."},
    "X-Avatar-Model": {"schema": {"type": "string"}, "description": "The version."},
}
# The names depend on the model; style and explode make each property a parameter of its own.
_TRAITS = {
    "name": "traits",
    "in": "query",
    "description": "Traits of the model: `GET /models/{name}` lists their names and values.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "example": {},  # without it Swagger UI invents traits, and its first request is a 422
}


def _openapi_responses(format_names: Sequence[str]) -> dict[int | str, dict[str, Any]]:
    pictures: dict[str, Any] = {FORMATS[name].media_type: {} for name in format_names}
    return {
        200: {"description": "The picture.", "content": pictures, "headers": _HEADERS},
        304: {"description": "The client has the picture already."},
        404: {"description": "There is no such model."},
        503: {"description": "Overloaded, or no model yet; see Retry-After."},
    }


def _openapi_parameters(picture_type: PictureType, without: Collection[str] = ()) -> dict[str, Any]:
    """The parameters, which FastAPI does not see, since the routes parse the query themselves."""
    format = {
        "name": "format",
        "in": "query",
        "description": "Default: the Accept header decides, else the first that is possible.",
        "schema": {"type": "string", "enum": list(picture_type.all_formats)},
        "example": "webp",
    }
    rows = [row.openapi() for row in picture_type.parameters if row.name not in without]
    return {"parameters": [*rows, format, _TRAITS]}


def _add_route(
    path: str, endpoint: Callable[..., Any], picture_type: PictureType, **options: Any
) -> None:
    """Add a route and its HEAD; the description shows an example picture."""
    example = f"![{picture_type.summary}]({picture_type.example})"
    fields = {
        "summary": picture_type.summary,
        "description": f"{picture_type.description}\n\n{example}",
        "response_class": Response,
        "responses": _openapi_responses(picture_type.all_formats),
        "openapi_extra": _openapi_parameters(picture_type),
    }
    router.add_api_route(path, endpoint, methods=["GET"], **{**fields, **options})
    router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def _picture_endpoint(
    picture_type: PictureType,
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def get_picture(request: Request) -> Response:
        query, accept = request.scope["query_string"], request.headers.get("accept")
        picture, is_repeatable = picture_request.parse_query(picture_type, query, accept)
        return await _respond(request, picture, is_repeatable)

    return get_picture


_get_face = _picture_endpoint(AVATAR)


async def get_avatar(request: Request) -> Response:
    """The face of `seed`, or of `gravatar_id`, which some clients send without a slash."""
    query = request.scope["query_string"]
    if (
        gravatar.LEGACY_PARAMETER.encode() in query
        and gravatar.LEGACY_PARAMETER in gravatar.parse_query(query)
    ):
        return await get_by_path(request, "")
    return await _get_face(request)


async def get_legacy_gravatar(request: Request) -> Response:
    """Gravatar's first address."""
    return await get_by_path(request, "")


async def get_random(request: Request) -> Response:
    """302 to `/avatar?seed=…` with the other parameters kept."""
    engine = get_picture_state(request).engine
    picture, texts = picture_request.parse_random(request.scope["query_string"])
    version = await engine.resolve(picture.model)
    if not engine.has_card(version):
        await get_picture_state(request).limiter.charge_pictures(request, costs.LOADING_UNITS)
    await service.resolve(engine, version, picture)
    query = urlencode(texts, quote_via=quote)
    headers = {
        "Location": f"{root_of(request)}/avatar?{query}",
        "Cache-Control": cache_headers.NOT_STORED,
        **SHARED,
    }
    return Response(status_code=302, headers=headers)


async def get_by_path(request: Request, name: str) -> Response:
    """`name` is a Gravatar hash, a seed and an extension after its last dot, or only a seed.

    Without a name it is Gravatar's address of a person without an e-mail address.
    """
    query, accept = request.scope["query_string"], request.headers.get("accept")
    if name.rstrip("/") == "random":  # some clients append a slash to every path
        return await get_random(request)
    if not name.strip("/") and "seed" in gravatar.parse_query(query):  # /avatar/?seed=ada
        return await _respond(request, *picture_request.parse_query(AVATAR, query, accept))
    if (address := gravatar.read_address(name, query)) is not None:
        picture = gravatar.parse_gravatar(address, accept)
        if isinstance(picture, BlankImage):
            return await _respond_blank(request, picture)
        return await _respond(request, picture)
    # The raw path: the decoded one has lost the bytes that are not UTF-8.
    raw_path, start = request.scope["raw_path"], b"/avatar/"
    # The client may have percent-encoded a part of `/avatar/` itself.
    is_plain = raw_path.startswith(start)
    raw_name = raw_path.removeprefix(start) if is_plain else quote(name).encode()
    return await _respond(request, picture_request.parse_path(raw_name, query, accept))


async def _respond(
    request: Request, picture: PictureRequest, is_repeatable: bool = True
) -> Response:
    """The picture, or 304 where the client has it; charges the rate limit for what is rendered."""
    state = get_picture_state(request)
    version = await state.engine.resolve(picture.model)
    if not state.engine.has_card(version):
        await state.limiter.charge_pictures(request, costs.LOADING_UNITS)
    picture = await service.resolve(state.engine, version, picture)
    client = state.limiter.client(request)
    render = partial(service.render, state.engine, version, picture, client)
    if not is_repeatable:
        limits = await _charge(request, version, picture)
        headers = {**_picture_headers(version, picture, None), **limits}
        body = await cancel_on_disconnect(request, render())
        return Response(body, headers=headers, media_type=picture.media_type)
    is_pinned = picture.model == version
    etag = cache_headers.make_etag(version, renderer(picture, is_pinned), picture.canonical)
    headers = _picture_headers(version, picture, etag)
    headers |= _last_modified(state.engine, version)
    if cache_headers.is_unchanged(request.headers, headers):
        return Response(status_code=304, headers=headers)
    request.state.is_from_memory = state.pictures.get(etag) is not None
    limits = {}
    if not request.state.is_from_memory:
        limits = await _charge(request, version, picture)
    body = await cancel_on_disconnect(request, state.pictures.fetch(etag, render))
    headers |= _last_modified(state.engine, version)  # its model is loaded now
    response = Response(body, headers=headers, media_type=picture.media_type)
    state.responses.keep(request.scope, picture.model, version, etag, response.raw_headers)
    response.headers.update(limits)
    return response


async def _respond_blank(request: Request, image: BlankImage) -> Response:
    """The image, encoded by a drawing thread and charged like any other picture."""
    state = get_picture_state(request)
    limits = await state.limiter.charge_pictures(request, image.estimate.units)
    client = state.limiter.client(request)
    encoding = state.engine.run(image.encode, client, image.estimate)
    body = await cancel_on_disconnect(request, encoding)
    return Response(body, headers={**image.headers, **limits}, media_type=image.media_type)


def _last_modified(engine: Engine, version: str) -> dict[str, str]:
    """The model's own date: no picture of a version changes. Empty until the model is loaded."""
    created = engine.created(version)
    return {} if created is None else {"Last-Modified": cache_headers.format_time(created)}


async def _charge(request: Request, version: str, picture: PictureRequest) -> dict[str, str]:
    """Charge the estimated cost of a picture; the headers to send. Raises TooManyRequests."""
    state = get_picture_state(request)
    units = state.engine.estimate(version, picture).units
    if not state.engine.is_loaded(version):
        units += costs.LOADING_UNITS
    return await state.limiter.charge_pictures(request, units)


def _picture_headers(version: str, picture: PictureRequest, etag: str | None) -> dict[str, str]:
    """The headers of a picture, or of its 304; etag: None where it is not repeatable."""
    headers = {
        "X-Avatar-Model": version,
        **SHARED,
        **NO_SNIFF,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Accept-Ranges": "none",
        **cache_headers.cache_headers(
            etag,
            is_pinned=picture.model == version,
            is_negotiated=picture.is_negotiated,
            is_text=picture.format in TEXT,
        ),
    }
    if picture.seed is not None:
        headers["X-Avatar-Seed"] = percent_encode(picture.seed)
    if etag is None:
        headers["Content-Location"] = picture.address()
    return headers


_add_route("/avatar", get_avatar, AVATAR)
_add_route(gravatar.LEGACY_PATH, get_legacy_gravatar, AVATAR, include_in_schema=False)
_add_route(
    "/avatar/random",
    get_random,
    AVATAR,
    status_code=302,
    responses={},
    summary="A redirect to a new face",
    description=get_random.__doc__,
    openapi_extra=_openapi_parameters(AVATAR, without={"seed"}),
)
_add_route(
    "/avatar/{name:path}",
    get_by_path,
    AVATAR,
    summary="The face of a seed, with an extension; or of a Gravatar hash",
    description=get_by_path.__doc__,
    openapi_extra=_openapi_parameters(AVATAR, without={"seed"}),
)
router.add_api_route("/avatars", bulk.respond, methods=["POST"], **bulk.OPENAPI)
for _picture_type in PICTURE_TYPES[1:]:
    _add_route(_picture_type.path, _picture_endpoint(_picture_type), _picture_type)
