"""Query strings, read strictly: nothing unknown, nothing twice, UTF-8 only."""

from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from fastapi import Request

from app.errors import InvalidParameter

UTF8 = "text that is percent-encoded UTF-8"


def decoded(raw: bytes, parameter: str) -> str:
    """Percent-encoded bytes as text. Raises InvalidParameter for anything but UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidParameter(parameter, "is not valid UTF-8", UTF8) from None


def parse(raw: bytes, allowed: Collection[str] | None = None) -> dict[str, str]:
    """A raw query string by name; None: any name. Raises InvalidParameter, naming what is wrong."""
    found: dict[str, str] = {}
    for part in raw.split(b"&"):
        if not part:
            continue
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        name = decoded(key, unquote_to_bytes(key).decode(errors="replace"))
        if allowed is not None and name not in allowed:
            raise InvalidParameter(name, "is not a parameter here", list(allowed))
        if name in found:
            raise InvalidParameter(name, "is given twice", "once")
        found[name] = decoded(value, name)
    return found


class Only:
    """A dependency for routes whose parameters FastAPI reads: no others, and none twice."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self, request: Request) -> None:
        parse(request.scope["query_string"], self.names)
