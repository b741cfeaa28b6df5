"""How large a request's body may be, whatever its route does with it."""

from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem, row
from models.errors import TooLarge

LARGEST = 64 * 1024  # bytes; the longest recipe has about 2,000
TOLD = f"A body here has at most {LARGEST:,} bytes."


class BodyLimit:
    """Refuses by Content-Length before anything is read, and by the bytes that come.

    `but`: paths that count for themselves, because they take more.
    """

    def __init__(self, app: ASGIApp, but: Collection[str]) -> None:
        self.app, self.but = app, but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or pass on."""
        if scope["type"] != "http" or scope["path"] in self.but:
            return await self.app(scope, receive, send)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST:
            status, slug = row(TooLarge)
            return await problem(status, slug, TOLD)(scope, receive, send)
        await self.app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST:
            # FastAPI turns any other error while it reads a body into a 400.
            raise HTTPException(row(TooLarge)[0], TOLD)
        return message

    return counted
