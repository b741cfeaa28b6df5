"""Charges every answer that its route did not charge: pages, 304s, 404s, invalid requests."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problems
from app.errors import TooManyRequests
from app.rate_limits.limiter import Limiter, is_asset

# Probes and scrapes must see the server also from an address that has used up its limits.
EXEMPT = ("/health/live", "/health/ready", "/metrics")
CREDENTIALS = (b"authorization", b"cookie")
# They are charged as a picture, and take as long.
PAGES = re.compile(r"/|/docs|/team|/local|/models/[^/]+/card|/studio(/.*)?")


class ChargeRest:
    """Middleware outside of all routes and caches.

    An answer that is neither a drawn picture nor an authorised call costs its client's address one
    face (`pictures`) where it succeeded, a part of one where it came from memory or is a 304, and
    one call (`calls`) where it failed. A client without credentials that has used up its calls, or
    for a page its pictures, gets a 429 before any work is done, but for the scripts and styles of
    pages (`assets`): its browser needs them to show the page that says so.
    """

    def __init__(self, app: ASGIApp, limiter: Limiter) -> None:
        self.app, self.limiter = app, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or call the app and charge its answer."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            return await self.app(scope, receive, send)
        request = Request(scope)
        if self.limiter.client(request) is None:  # this machine is not charged
            return await self.app(scope, receive, send)
        if not is_asset(request) and not any(name in CREDENTIALS for name, _ in scope["headers"]):
            try:
                await self.limiter.require_calls(request)
                if PAGES.fullmatch(scope["path"]):
                    await self.limiter.require_pictures(request)
            except TooManyRequests as error:
                return await (await problems.answer(request, error))(scope, receive, send)
        await self.app(scope, receive, _ChargedSend(request, self.limiter, receive, send))


class _ChargedSend:
    """Sends an answer, or a 429 in its place where the client cannot pay for it."""

    def __init__(self, request: Request, limiter: Limiter, receive: Receive, send: Send) -> None:
        self.request, self.limiter, self.receive, self.send = request, limiter, receive, send
        self.is_refused = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            try:
                await self.limiter.charge_answer(self.request, message["status"])
            except TooManyRequests as error:
                self.is_refused = True
                response = await problems.answer(self.request, error)
                return await response(self.request.scope, self.receive, self.send)
        if not self.is_refused:
            await self.send(message)
