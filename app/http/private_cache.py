"""Keeps shared caches from storing answers where pictures need a key."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = "/assets/"  # the same for every client


class PrivateCache:
    """Middleware for KAO_PUBLIC_AVATARS=false: every `public` answer becomes `private`.

    RFC 9111 §3.5: `public` lets a shared cache store also an answer to a request with
    Authorization, and give it to clients without.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app and change the Cache-Control of its answer."""
        if scope["type"] != "http" or scope["path"].startswith(STATIC):
            return await self.app(scope, receive, send)

        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                caching = headers.get("cache-control")
                if caching is not None and "public" in caching:
                    headers["cache-control"] = caching.replace("public", "private")
            await send(message)

        await self.app(scope, receive, send_private)
