"""Answers requests that the end of the process interrupts."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem

DETAIL = "The server is shutting down; send the request again."
RETRY_AFTER = 5  # s; another process answers at once, this one's successor after its start


class ShutdownAnswers:
    """Middleware that answers 503 where uvicorn cancels a request because its grace has passed.

    uvicorn's own answer is a 500, which clients and proxies do not repeat.
    """

    def __init__(self, app: ASGIApp, closing: asyncio.Event) -> None:
        """closing: set as soon as the server shuts down."""
        self.app, self.closing = app, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; answer in its place where it was cancelled before it began to."""
        has_begun = False

        async def send_and_record(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_record)
        except asyncio.CancelledError:
            if scope["type"] != "http" or has_begun or not self.closing.is_set():
                raise
            headers = {"Retry-After": str(RETRY_AFTER), "Connection": "close"}
            await problem(503, "shutting-down", DETAIL, headers)(scope, receive, send)
