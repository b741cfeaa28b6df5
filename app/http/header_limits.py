"""Keeps headers and queries small before anything parses them, on the event loop.

Headers may have 32 KiB. Python before 3.11.10 unquotes a cookie of that size for 9 s, and FastAPI
parses the cookies of every request (CVE-2024-7592); a list of 32 KiB takes up to 0.1 s.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.problems import problem

LONGEST_LIST = 2048  # bytes; browsers send 300, and caches a few ETags
LISTS = {b"accept", b"accept-encoding", b"accept-language", b"if-none-match"}
OWN_COOKIES = b"kao_"  # how the names of our cookies begin
MOST_COOKIES = 16
MOST_PARAMETERS = 256  # of a query; no address has more than 30


class HeaderLimits:
    """Middleware around everything: as if a client had not sent what is too long to parse.

    Keeps only cookies of our own, which have no quotes, and leaves out lists above LONGEST_LIST. A
    list on several lines becomes one line (RFC 9110 §5.3), so that its readers see all of it. A
    query with more than MOST_PARAMETERS is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, or answer 422."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        query: bytes = scope["query_string"]
        if query.count(b"&") + query.count(b";") >= MOST_PARAMETERS:
            detail = f"The query has more than {MOST_PARAMETERS} parameters."
            return await problem(422, "invalid-parameter", detail)(scope, receive, send)
        if _has_excess(scope["headers"]):
            scope["headers"] = _limit(scope["headers"])
        await self.app(scope, receive, send)


def _has_excess(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether `_limit` would change them: seldom, and this takes a third of its time."""
    lists = set()
    for name, value in headers:
        if name in LISTS:
            if name in lists or len(value) > LONGEST_LIST:
                return True
            lists.add(name)
        elif name == b"cookie":
            return True
    return False


def _limit(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    lines: dict[bytes, list[bytes]] = {}
    other_headers = []
    for name, value in headers:
        if name == b"cookie" or name in LISTS:
            lines.setdefault(name, []).append(value)
        else:
            other_headers.append((name, value))
    cookies = _own_cookies(b";".join(lines.pop(b"cookie", [])))
    joined_lists = [(name, b", ".join(values)) for name, values in lines.items()]
    short_lists = [pair for pair in joined_lists if len(pair[1]) <= LONGEST_LIST]
    return [*other_headers, *short_lists, *([(b"cookie", cookies)] if cookies else [])]


def _own_cookies(header: bytes) -> bytes:
    pairs = (pair.strip() for pair in header.split(b";"))
    own = [pair for pair in pairs if pair.startswith(OWN_COOKIES) and b'"' not in pair]
    # Of two with one name the first has the longer path (RFC 6265 §5.4), and is this app's.
    first_pairs: dict[bytes, bytes] = {}
    for pair in own:
        first_pairs.setdefault(pair.partition(b"=")[0], pair)
    return b"; ".join([*first_pairs.values()][:MOST_COOKIES])
