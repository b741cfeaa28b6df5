"""Every request seen once: counted, timed, and given an id that its log lines carry."""

import itertools
import re
import time
from functools import cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models import logs

log = structlog.get_logger()

HEADER = b"x-request-id"
_GOOD = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # what may be put into a log and sent back
READS = ("GET", "HEAD", "OPTIONS")
REQUESTS = Counter("kao_requests", "Requests answered.", ["route", "status"], registry=None)
SECONDS = Histogram(
    "kao_request_seconds",
    "From a request's headers to the end of its answer; event streams last.",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=None,
)
METRICS = (REQUESTS, SECONDS)
_numbers = itertools.count(1)


class Observer:
    """The outermost middleware.

    An id comes from `X-Request-ID`, or is made here. It goes back where the client sent one, and
    with every 5xx, so that whoever reports a failure can name its log lines. Requests that may
    change something are logged, with the key that asked; the others are only counted.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status, given = time.perf_counter(), 500, _given(scope)
        ended = 0.0
        logs.REQUEST.set(name := given or next(_numbers))

        async def noted(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                if given is not None or status >= 500:
                    # A new list: a remembered answer shares its headers.
                    told = logs.request_id(name).encode()
                    message["headers"] = [*message["headers"], (HEADER, told)]
            await send(message)
            ended = time.perf_counter()  # what is done after an answer is no part of it

        try:
            await self.app(scope, receive, noted)
        finally:
            _count(scope, status, (ended or time.perf_counter()) - began)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER and _GOOD.fullmatch(value):
            return str(value, "ascii")
    return None


def _count(scope: Scope, status: int, seconds: float) -> None:
    requests, times = _metrics(_route(scope, status), status)
    requests.inc()
    times.observe(seconds)
    if scope["method"] not in READS:
        key = scope.get("state", {}).get("key")
        told = {"key": key.id} if key is not None else {}
        log.info(
            "request.answered",
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 4),
            **told,
        )


@cache
def _metrics(route: str, status: int) -> tuple[Counter, Histogram]:
    """Finding them by their labels would take longer than counting."""
    return REQUESTS.labels(route, status), SECONDS.labels(route)


def _route(scope: Scope, status: int) -> str:
    """A route's pattern, never what was asked: anybody could invent labels."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    # app/avatars/cache/fast_path.py answers before any route is looked for.
    return "shortcut" if status in (200, 304) else "none"
