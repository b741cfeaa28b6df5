"""Answers HEAD wherever GET is answered, with the same headers (RFC 9110 §9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _HeadersSentError(Exception):
    """Ends an answer whose headers were sent, such as a stream of events."""


class Head:
    """Middleware that turns HEAD into GET and leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app as for GET; send its headers alone."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)
        has_started = False

        async def send_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body":
                if not has_started:
                    has_started = True
                    await send({"type": "http.response.body", "body": b""})
                if message.get("more_body"):
                    raise _HeadersSentError

        inner_scope = {**scope, "method": "GET"}
        try:
            await self.app(inner_scope, receive, send_headers)
        except* _HeadersSentError:
            pass
        finally:
            if "route" in inner_scope:  # for the metrics
                scope["route"] = inner_scope["route"]
