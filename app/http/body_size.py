"""Limits the size of request bodies, independently of the route."""

from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem, row
from models.errors import TooLarge

MAX_BYTES = 64 * 1024  # the longest recipe has about 2,000
MESSAGE = f"A body here has at most {MAX_BYTES:,} bytes."


class BodyLimit:
    """Refuses a body by its Content-Length before reading it, and by the bytes that arrive.

    `exempt`: paths with a limit of their own, because they accept more.
    """

    def __init__(self, app: ASGIApp, exempt: Collection[str]) -> None:
        self.app, self.exempt = app, exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or call the app."""
        if scope["type"] != "http" or scope["path"] in self.exempt:
            return await self.app(scope, receive, send)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BYTES:
            status, slug = row(TooLarge)
            return await problem(status, slug, MESSAGE)(scope, receive, send)
        await self.app(scope, _limit(receive), send)


def _limit(receive: Receive) -> Receive:
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BYTES:
            # FastAPI turns every other error while it reads a body into a 400.
            raise HTTPException(row(TooLarge)[0], MESSAGE)
        return message

    return receive_limited
