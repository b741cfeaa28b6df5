"""Counts, times and logs every request, and gives it an id that its log lines carry."""

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
_VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # safe in a log line and in a header
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
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


class AccessLog:
    """The outermost middleware.

    The id of a request is its `X-Request-ID`, or a number. It is returned to clients that sent
    one, and with every 5xx, so that a report of a failure can name its log lines. Requests that
    may change something are logged with their key's id; all are counted.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and record its status and duration."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status, client_id = time.perf_counter(), 500, _client_id(scope)
        end = 0.0
        logs.REQUEST.set(request_id := client_id or next(_numbers))

        async def observe(message: Message) -> None:
            nonlocal status, end
            if message["type"] == "http.response.start":
                status = message["status"]
                if client_id is not None or status >= 500:
                    # A new list: an answer from the fast path shares its headers.
                    value = logs.request_id(request_id).encode()
                    message["headers"] = [*message["headers"], (HEADER, value)]
            await send(message)
            end = time.perf_counter()  # background tasks after an answer do not count

        try:
            await self.app(scope, receive, observe)
        finally:
            _record(scope, status, (end or time.perf_counter()) - start)


def _client_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER and _VALID_ID.fullmatch(value):
            return str(value, "ascii")
    return None


def _record(scope: Scope, status: int, seconds: float) -> None:
    requests, times = _metrics(_route(scope, status), status)
    requests.inc()
    times.observe(seconds)
    if scope["method"] not in SAFE_METHODS:
        key = scope.get("state", {}).get("key")
        fields = {"key": key.id} if key is not None else {}
        log.info(
            "request.answered",
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 4),
            **fields,
        )


@cache
def _metrics(route: str, status: int) -> tuple[Counter, Histogram]:
    """The metrics of a route and status; looking them up by label takes longer than counting."""
    return REQUESTS.labels(route, status), SECONDS.labels(route)


def _route(scope: Scope, status: int) -> str:
    """The pattern of the route, never the path: clients could create any number of labels."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    # app/avatars/cache/fast_path.py answers before routing.
    return "shortcut" if status in (200, 304) else "none"
