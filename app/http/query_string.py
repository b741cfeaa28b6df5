"""Parses query strings strictly: no unknown or repeated names, UTF-8 only."""

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from fastapi import Request

from app.errors import InvalidParameter

UTF8 = "text that is percent-encoded UTF-8"
# Parameters that newsletters, social networks and analytics append to every link, and those with
# which pages avoid a cached copy. They never change a picture, and never cause an error.
_TRACKING = re.compile(
    r"utm_\w+|mc_[ce]id|_(ga|gl|hsenc|hsmi|kx|openstat|branch_\w+)|[a-z]*clid|msclkid|igsh(id)?"
    # The rest of the lists of Firefox ("query stripping") and Matomo, and Google Shopping's.
    r"|__hs\w+|__s|hsctatracking|gclsrc|[gw]braid|srsltid|mibextid|mkt_tok|rb_clickid|s_cid"
    r"|(pk|mtm|matomo|piwik|vero|oft|ml_subscriber|oly_anon|oly_enc)(_\w+)?|ref|trk|spm"
    r"|_|\d+|v|t|ts|ver|rev|cb|rnd|rand|nocache|cache_?bust(er)?|cachebust(er)?|timestamp"
)


def is_tracking(name: str) -> bool:
    """Whether a parameter only tracks or defeats caches, where a route has none of its name."""
    return _TRACKING.fullmatch(name.lower()) is not None


def decode(raw: bytes, parameter: str) -> str:
    """Percent-encoded bytes as text. Raises InvalidParameter where they are not UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidParameter(parameter, "is not valid UTF-8", UTF8) from None


def parse(
    raw: bytes, allowed: Collection[str] | None = None, known: Collection[str] = ()
) -> dict[str, str]:
    """The values of a raw query string by name; allowed: None accepts every name.

    Tracking parameters are never a reason to refuse: those not `allowed` are left out. With None,
    those that are not `known` are kept as far as they can be read. Raises InvalidParameter, which
    names the parameter.
    """
    values: dict[str, str] = {}
    for part in raw.split(b"&"):
        if not part or part.startswith(b"="):  # a form's field without a name
            continue
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        name = decode(key, unquote_to_bytes(key).decode(errors="replace"))
        name = name.removeprefix("amp;")  # of an address that was escaped for HTML twice
        if name not in (allowed or known) and is_tracking(name):
            if allowed is None:
                values[name] = unquote_to_bytes(value).decode(errors="replace")
            continue
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
