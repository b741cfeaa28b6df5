"""Compresses text with gzip for clients that accept it."""

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware, GZipResponder, IdentityResponder
from starlette.types import Message, Receive, Scope, Send

from app.http.content_encoding import choose_coding


class Compression(GZipMiddleware):
    """Starlette's middleware, which by itself looks for the word `gzip`, even in `gzip;q=0`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; compress its answer where the client accepts gzip."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_merged(message: Message) -> None:
            if message["type"] == "http.response.start":
                _merge_vary(message["headers"])
            await send(message)

        accept_encoding = ",".join(Headers(scope=scope).getlist("accept-encoding"))
        excluded_types = self.exclude_content_types
        if choose_coding(accept_encoding, ("gzip",)) is None:
            identity = IdentityResponder(
                self.app, self.minimum_size, exclude_content_types=excluded_types
            )
            return await identity(scope, receive, send_merged)
        responder = GZipResponder(
            self.app,
            self.minimum_size,
            compresslevel=self.compresslevel,
            thread_minimum_size=self.thread_minimum_size,
            exclude_content_types=excluded_types,
        )
        await responder(scope, receive, send_merged)


def _merge_vary(headers: list[tuple[bytes, bytes]]) -> None:
    """Name each header once: the app may have named the one that Starlette adds."""
    for place, (name, value) in enumerate(headers):
        if name == b"vary" and b"," in value:
            names = {each.strip().lower(): each.strip() for each in value.split(b",")}
            headers[place] = name, b", ".join(names.values())
