"""CORS for pictures: pages of any site may read them, and the errors and redirects instead."""

import re
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFLIGHT_AGE = 86400  # s; Firefox's limit, browsers with a lower one use theirs
EXPOSED_HEADERS = (
    "X-Avatar-Model, X-Avatar-Seed, Content-Location, Retry-After, RateLimit, RateLimit-Policy, "
    "X-Request-ID"
)
READABLE_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": EXPOSED_HEADERS,
}
PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, X-Request-ID",
    "Access-Control-Max-Age": str(PREFLIGHT_AGE),
    "Vary": "Access-Control-Request-Headers",
}


class CrossOrigin:
    """Middleware around the routes of pictures; all others belong to this server's own pages.

    paths: of the pictures; what lies below one belongs to it. files: matches the paths of the files
    from which pages of other sites draw. Browsers send no cookies to `*`, so another site reads
    only what is public, or what its own API key opens.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], files: re.Pattern[str]) -> None:
        self.app, self.paths, self.files = app, tuple(paths), files
        self.folders = tuple(f"{path}/" for path in paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight request, or add the headers to an error or a redirect."""
        if scope["type"] != "http" or not self._is_shared(scope["path"]):
            return await self.app(scope, receive, send)
        if scope["method"] == "OPTIONS":
            return await Response(status_code=204, headers=PREFLIGHT)(scope, receive, send)

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 300:
                MutableHeaders(scope=message).update(READABLE_HEADERS)
            await send(message)

        await self.app(scope, receive, send_readable)

    def _is_shared(self, path: str) -> bool:
        is_picture = path in self.paths or path.startswith(self.folders)
        return is_picture or self.files.fullmatch(path) is not None
