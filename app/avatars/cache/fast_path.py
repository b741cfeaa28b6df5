"""The short way to a picture, past what FastAPI does for every request.

Routing, dependencies and our own parsing cost ten times what sending the bytes does
(`benchmarks/cached.py`). So the headers of an answer are remembered under the request's raw
words, and a request in those words is answered ahead of all that, for as long as its model's
name means the same version. A new face of an address in `direct` goes to its function without
routing, which is 0.2 ms of 3 (`benchmarks/serving.py`).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.avatars.cache import http_headers
from app.avatars.cache.picture_cache import Pictures
from app.avatars.generate.engine import Engine
from app.problems import known
from models.errors import KaoError

MOST = 4096  # remembered requests, about a kilobyte each; the oldest are forgotten first
LONGEST = 512  # bytes of a request's words; a longer one goes the long way
# Those of a 200 that describe a body, which a 304 has not.
OF_A_BODY = {b"content-length", b"content-type"}

Words = tuple[bytes, bytes, bytes]  # path, query, Accept
Headers = list[tuple[bytes, bytes]]
Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Answer:
    name: str
    version: str
    tag: str
    headers: Headers
    bare: Headers


class Shortcuts:
    """The requests that may go the short way. Its methods belong to one event loop."""

    def __init__(self, engine: Engine, pictures: Pictures) -> None:
        self.engine, self.pictures = engine, pictures
        self._answers: OrderedDict[Words, _Answer] = OrderedDict()

    def remember(self, scope: Scope, name: str, version: str, tag: str, answer: Response) -> None:
        """An answer with a body, to serve again while `name` means `version`."""
        words, _ = _read(scope)
        # A prefix of a version is looked up each time: another model may come to share it.
        if sum(map(len, words)) > LONGEST or not self._means(name, version):
            return
        headers = list(answer.raw_headers)
        bare = [pair for pair in headers if pair[0] not in OF_A_BODY]
        self._answers[words] = _Answer(name, version, tag, headers, bare)
        if len(self._answers) > MOST:
            self._answers.popitem(last=False)

    def find(self, scope: Scope) -> tuple[int, Headers, bytes] | None:
        """Status, headers and body; None: go the long way."""
        words, if_none_match = _read(scope)
        answer = self._answers.get(words)
        if answer is None or not self._means(answer.name, answer.version):
            return None
        if if_none_match and http_headers.holds(if_none_match, answer.tag):
            return 304, answer.bare, b""
        body = self.pictures.get(answer.tag)
        if body is None:
            return None
        self.pictures.hits.inc()
        return 200, answer.headers, body

    def _means(self, name: str, version: str) -> bool:
        return name == version or self.engine.served.get(name) == version


def _read(scope: Scope) -> tuple[Words, list[str]]:
    accept, known = b"", []
    for name, value in scope["headers"]:
        if name == b"accept":
            # Several lines mean what one with commas means, and no two lists may look the same.
            accept += value + b"\n"
        elif name == b"if-none-match":
            known.append(value.decode("latin-1"))
    return (scope["raw_path"], scope["query_string"], accept), known


class Shortcut:
    """Middleware that answers what `Shortcuts` finds and what is `direct`; the rest it passes on.

    `direct`: functions by path; FastAPI has the same as routes, for its documentation.
    """

    def __init__(self, app: ASGIApp, shortcuts: Shortcuts, direct: Mapping[str, Answer]) -> None:
        self.app, self.shortcuts, self.direct = app, shortcuts, direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        found = self.shortcuts.find(scope)
        if found is not None:
            status, headers, body = found
            await send({"type": "http.response.start", "status": status, "headers": headers})
            # The server leaves the body of a HEAD out.
            return await send({"type": "http.response.body", "body": body})
        make = self.direct.get(scope["path"])
        answer = self.app if make is None else await _answered(make, Request(scope, receive))
        await answer(scope, receive, send)


async def _answered(make: Answer, request: Request) -> Response:
    try:
        return await make(request)
    except KaoError as error:
        return await known(request, error)
