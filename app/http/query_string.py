"""Parses query strings strictly: no unknown or repeated names, UTF-8 only."""

from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from fastapi import Request

from app.errors import InvalidParameter

UTF8 = "text that is percent-encoded UTF-8"


def decode(raw: bytes, parameter: str) -> str:
    """Percent-encoded bytes as text. Raises InvalidParameter where they are not UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidParameter(parameter, "is not valid UTF-8", UTF8) from None


def parse(raw: bytes, allowed: Collection[str] | None = None) -> dict[str, str]:
    """The values of a raw query string by name; allowed: None accepts every name.

    Raises InvalidParameter, which names the parameter.
    """
    values: dict[str, str] = {}
    for part in raw.split(b"&"):
        if not part:
            continue
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        name = decode(key, unquote_to_bytes(key).decode(errors="replace"))
        if allowed is not None and name not in allowed:
            raise InvalidParameter(name, "is not a parameter here", list(allowed))
        if name in values:
            raise InvalidParameter(name, "is given twice", "once")
        values[name] = decode(value, name)
    return values


class Only:
    """A dependency of routes whose parameters FastAPI reads: no other names, none twice."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self, request: Request) -> None:
        parse(request.scope["query_string"], self.names)
