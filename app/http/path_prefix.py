"""Serves everything below a path, as in https://example.com/faces/avatar?seed=42."""

import re
from typing import Annotated
from urllib.parse import unquote, unquote_to_bytes

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.settings import PATH_PREFIX, is_reserved

MOST_CHARACTERS = 200


def root_of(request: Request) -> str:
    """The path prefix, with which addresses in an answer begin; empty without one."""
    return str(request.scope.get("root_path", ""))


Root = Annotated[str, Depends(root_of)]


class PathPrefix:
    """Middleware that removes the prefix from paths, and adds it to headers with an address.

    prefix: KAO_PATH_PREFIX, whether the proxy removes it or not. trusts_proxies: whether
    X-Forwarded-Prefix names it where the setting does not. The proxy has removed that one already;
    were it removed here, a client could name one that hides `/metrics` from the proxy's rules.
    Pages and JSON with addresses read `root_path`. Several slashes at the beginning of a path,
    and behind the prefix, count as one, since some clients join addresses so.
    """

    def __init__(self, app: ASGIApp, prefix: str, trusts_proxies: bool) -> None:
        self.app, self.prefix, self.trusts_proxies = app, prefix, trusts_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with the path below the prefix."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"].startswith("//"):
            _replace_path(scope, scope["path"].lstrip("/"), scope["raw_path"].lstrip(b"/"))
        self._read_scheme(scope)
        prefix = self.prefix or self._forwarded_prefix(scope)
        if not prefix:
            return await self.app(scope, receive, send)
        start = f"{prefix}/"
        if (raw_path := path_below(prefix.encode(), scope["raw_path"])) is not None:
            raw_path = raw_path.lstrip(b"/")
            _replace_path(scope, unquote(raw_path), raw_path)
        scope["root_path"] = prefix

        async def send_prefixed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in ("location", "content-location"):
                    address = headers.get(name, "")
                    if address.startswith("/") and not address.startswith(start):
                        headers[name] = prefix + address
            await send(message)

        await self.app(scope, receive, send_prefixed)

    def _read_scheme(self, scope: Scope) -> None:
        """The first of several proxies' schemes; the server reads a single one."""
        headers = Headers(scope=scope)
        scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
        is_known = scheme in ("http", "https") and "x-forwarded-for" in headers
        if self.trusts_proxies and is_known:
            scope["scheme"] = scheme

    def _forwarded_prefix(self, scope: Scope) -> str:
        if not self.trusts_proxies:
            return ""
        headers = Headers(scope=scope)
        prefix = headers.get("x-forwarded-prefix", "").partition(",")[0].strip().rstrip("/")
        is_path = len(prefix) <= MOST_CHARACTERS and re.fullmatch(PATH_PREFIX, prefix)
        is_valid = is_path and not is_reserved(prefix) and "x-forwarded-for" in headers
        is_removed = path_below(prefix.encode(), scope["raw_path"]) is None
        return prefix if is_valid and is_removed else ""


def path_below(prefix: bytes, raw_path: bytes) -> bytes | None:
    """The path below the prefix, without its first slash; None where it does not begin with it.

    Both are percent-encoded, and may encode the same characters differently (`~` as `%7E`).
    """
    segments, count = raw_path.split(b"/"), prefix.count(b"/") + 1
    if [*map(unquote_to_bytes, segments[:count])] != [*map(unquote_to_bytes, prefix.split(b"/"))]:
        return None
    return b"/".join(segments[count:])


def _replace_path(scope: Scope, path: str, raw_path: bytes) -> None:
    """Set the path without its first slash; raw_path: the same, percent-encoded."""
    scope["path"], scope["raw_path"] = f"/{path}", b"/" + raw_path
