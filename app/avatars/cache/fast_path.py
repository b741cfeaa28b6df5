"""Answers repeated picture requests before FastAPI sees them.

Routing, dependencies and parsing take ten times as long as sending the bytes
(`benchmarks/cached.py`). So the headers of a response are kept under the request's path, query and
Accept header, and an equal request is answered from them while its model's name stands for the same
version.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.avatars.cache.picture_cache import PictureCache
from app.http import cache_headers

MOST_RESPONSES = 4096  # kept responses, about a kilobyte each; the oldest are dropped first
LONGEST_KEY = 512  # bytes of path, query and Accept; longer requests are not kept
# Headers of a 200 that describe its body, which a 304 does not have.
BODY_HEADERS = {b"content-length", b"content-type"}
CONDITIONS = {b"if-none-match", b"if-modified-since"}

Key = tuple[bytes, bytes, bytes]  # path, query, Accept
RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Response:
    """A 200 without its body. validators: ETag and Last-Modified; headers_304: of its 304."""

    model: str
    version: str
    etag: str
    validators: Mapping[str, str]
    headers: RawHeaders
    headers_304: RawHeaders


class ResponseCache:
    """Headers of earlier responses. Its methods must be called on one event loop.

    versions: the version that each alias serves, kept up to date by its owner.
    """

    def __init__(self, versions: Mapping[str, str], pictures: PictureCache) -> None:
        self.versions, self.pictures = versions, pictures
        self._responses: OrderedDict[Key, _Response] = OrderedDict()

    @property
    def keys(self) -> tuple[Key, ...]:
        """The requests whose responses are kept, oldest first."""
        return tuple(self._responses)

    def keep(self, scope: Scope, model: str, version: str, etag: str, headers: RawHeaders) -> None:
        """Keep the headers of a 200, to be sent again while `model` stands for `version`."""
        key, _ = _parse_request(scope)
        # A prefix of a version is resolved each time: a new model may share it.
        if sum(map(len, key)) > LONGEST_KEY or not self._is_current(model, version):
            return
        headers_304 = [pair for pair in headers if pair[0] not in BODY_HEADERS]
        validators = {"ETag": etag, "Last-Modified": Headers(raw=headers).get("last-modified", "")}
        self._responses[key] = _Response(
            model, version, etag, validators, list(headers), headers_304
        )
        if len(self._responses) > MOST_RESPONSES:
            self._responses.popitem(last=False)

    def find(self, scope: Scope) -> tuple[int, RawHeaders, bytes] | None:
        """Status, headers and body for a request; None: it has to be answered by its route."""
        key, conditions = _parse_request(scope)
        response = self._responses.get(key)
        if response is None or not self._is_current(response.model, response.version):
            return None
        if conditions and cache_headers.is_unchanged(Headers(raw=conditions), response.validators):
            return 304, response.headers_304, b""
        body = self.pictures.get(response.etag)
        if body is None:
            return None
        self.pictures.hits.inc()
        return 200, response.headers, body

    def _is_current(self, model: str, version: str) -> bool:
        return model == version or self.versions.get(model) == version


def _parse_request(scope: Scope) -> tuple[Key, RawHeaders]:
    """The key of a request, and its conditional headers."""
    accept: bytes = b""
    conditions: RawHeaders = []
    for name, value in scope["headers"]:
        if name == b"accept":
            # A separator that no value contains, so that two lists of headers have two keys.
            accept += value + b"\n"
        elif name in CONDITIONS:
            conditions.append((name, value))
    return (scope["raw_path"], scope["query_string"], accept), conditions


class FastPath:
    """Middleware that answers what ResponseCache finds, and passes on the rest."""

    def __init__(self, app: ASGIApp, responses: ResponseCache) -> None:
        self.app, self.responses = app, responses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        is_picture = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        response = self.responses.find(scope) if is_picture else None
        if response is None:
            return await self.app(scope, receive, send)
        status, kept_headers, body = response
        headers = list(kept_headers)  # other middleware adds to them
        scope.setdefault("state", {})["is_from_memory"] = True  # for the rate limit
        await send({"type": "http.response.start", "status": status, "headers": headers})
        # The server drops the body of a response to HEAD.
        await send({"type": "http.response.body", "body": body})
