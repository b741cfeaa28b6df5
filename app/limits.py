"""How large a JSON body may be, said as a problem and before any of it is read."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import TooLarge
from app.problems import problem, row

LARGEST_JSON = 64 * 1024  # bytes; the longest recipe has about 2,000


class JsonLimit:
    """Refuses by Content-Length; what tells none is counted by the routers' `max_body_size`."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or pass on."""
        app = self.app
        if scope["type"] == "http" and scope["path"].startswith(self.prefix):
            length = dict(scope["headers"]).get(b"content-length", b"0")
            if length.isdigit() and int(length) > LARGEST_JSON:
                status, slug = row(TooLarge)
                app = problem(status, slug, f"A body here has at most {LARGEST_JSON:,} bytes.")
        await app(scope, receive, send)
