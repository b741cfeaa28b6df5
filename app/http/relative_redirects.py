"""Makes redirects relative, so that they never repeat a host that the client invented."""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RelativeRedirects:
    """Middleware that removes scheme and host from Location headers (RFC 9110 §10.2.2).

    Starlette's redirect from `/models/` to `/models` contains the request's Host header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app and change the Location of its answer."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = _relative(headers["location"])
            await send(message)

        await self.app(scope, receive, send_relative)


def _relative(address: str) -> str:
    parts = urlsplit(address)
    # One leading slash: `//name` would be another host.
    path = "/" + parts.path.lstrip("/")
    return parts._replace(scheme="", netloc="", path=path).geturl()
