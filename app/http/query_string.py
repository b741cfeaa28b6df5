"""Parses query strings strictly: no unknown or repeated names, UTF-8 only."""

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from fastapi import Request

from app.errors import InvalidParameter

UTF8 = "text that is percent-encoded UTF-8"
# Parameters that newsletters, social networks and analytics append to every link, and those with
# which pages avoid a cached copy. They never change a picture, and never cause an error.
# Sources: the lists of Firefox ("query stripping"), Brave, ClearURLs and Matomo.
_TRACKING = re.compile(
    r"_.*|(utm|ga|gad|hs[as]|fb|ns|wt|nb|tt|sc|at|cx|itm|stm|sfmc|sms|hmb)[._]\w+|\w+_[cet]id"
    r"|(pk|mtm|matomo|piwik|vero|oft|ml_subscriber|oly_anon|oly_enc|ref|trk)(_\w+)?"
    r"|\w*cl(ic)?k?_?id|[oinrcks]+cid|igsh(id)?|[gw]braid|gclsrc|gs_l|srsltid|irgwc|hsctatracking"
    r"|mkt_tok|s_kwcid|(ad|ad_?group|adset|campaign|aff|ef)_?id|epik|li_fat_id|lipi|licu|mibextid"
    r"|sfnsn|twsrc|tw_source|is_from_webapp|sender_device|elq\w*|wickedid|ck_subscriber_id|vgo_ee"
    r"|ss_(email_id|source)|et_rid|dm_i|dicbo|oborigurl|guce\w*|guccounter|tblci|zanpid|awc|xtor"
    r"|cmpid|mkcid|mkevt|cvid|rtid|spm|si|action_\w+_map"
    r"|\d+|v|t|ts|ver|rev|cb|rnd|rand|nocache|cache_?bust(er)?|timestamp",
    re.DOTALL,
)
_AMP = re.compile(rb"(^|&)amp;")


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
        query = request.scope["query_string"]
        parse(query, self.names)
        if _AMP.search(query):  # FastAPI would leave such a parameter out
            raise InvalidParameter(
                "amp;", "is of an address that was escaped for HTML twice", "& in its place"
            )
