"""ETags, Cache-Control, Vary and conditional requests."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.datastructures import Headers

IMMUTABLE = "public, max-age=31536000, immutable"
MUTABLE = "public, max-age=300, stale-while-revalidate=60, stale-if-error=43200"
NOT_STORED = "no-store"
# What compressing proxies append to the ETags that they pass on (Apache, Caddy, Jetty).
_SUFFIX = re.compile(r'(?:--?|;|\+|:)(?:gzip|br|zstd|deflate|df)"$')


def make_etag(version: str, renderer: int, address: str) -> str:
    """A picture's ETag, which needs no pixels.

    version: the model's. renderer: the number of the encoding. address: the canonical address of
    the picture. Weak, because another machine may differ by 1 of 255 in a pixel.
    """
    text = f"{version} {renderer} {address}"
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(if_none_match: Sequence[str], etag: str) -> bool:
    """Whether the client has this picture already (weak comparison, RFC 9110 §13.1.2).

    if_none_match: the values of all If-None-Match headers of the request.
    """
    etags = [item.strip().removeprefix("W/") for line in if_none_match for item in line.split(",")]
    plain = etag.removeprefix("W/")
    return any(text in ("*", plain) or _SUFFIX.sub('"', text) == plain for text in etags)


def is_unchanged(request: Headers, headers: Mapping[str, str]) -> bool:
    """Whether the client has the picture with these headers (RFC 9110 §13.2.2).

    If-Modified-Since counts where it is exactly this date, in any of HTTP's three formats, and
    only without If-None-Match: after a rollback an alias serves an older model, whose date lies
    before the client's.
    """
    if_none_match = request.getlist("if-none-match")
    if if_none_match:
        return matches(if_none_match, headers["ETag"])
    date = _parse_date(request.get("if-modified-since", ""))
    return date is not None and date == _parse_date(headers.get("Last-Modified", ""))


def _parse_date(text: str) -> datetime | None:
    """An HTTP date of any format (RFC 9110 §5.6.7); None where it is none.

    What follows `;` is a length, which browsers of the nineties appended.
    """
    try:
        date = parsedate_to_datetime(text.partition(";")[0].strip())
    except (ValueError, IndexError, TypeError, OverflowError):  # email's parser has raised them all
        return None
    # `asctime` names no zone, and that of HTTP is always UTC.
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def format_time(moment: str) -> str:
    """An ISO 8601 time as an HTTP date (RFC 9110 §5.6.7)."""
    return format_datetime(datetime.fromisoformat(moment).astimezone(UTC), usegmt=True)


def version_headers(version: str, published: str) -> dict[str, str]:
    """The ETag and date of a file of a model, whose bytes its version determines."""
    return {"ETag": f'"{version[:32]}"', "Last-Modified": format_time(published)}


def cache_headers(
    etag: str | None, *, is_pinned: bool, is_negotiated: bool, is_text: bool = False
) -> dict[str, str]:
    """Headers that tell caches how long a picture may be kept.

    etag: None for a picture that cannot be requested again. is_pinned: the request names a full
    version. is_negotiated: the Accept header chose the format. is_text: the server compresses it
    for clients that accept that, and a 304 has to say so as well (RFC 9110 §15.4.5).
    """
    if etag is None:
        headers = {"Cache-Control": NOT_STORED}
    else:
        headers = {"Cache-Control": IMMUTABLE if is_pinned else MUTABLE, "ETag": etag}
    names = [*(["Accept"] if is_negotiated else []), *(["Accept-Encoding"] if is_text else [])]
    return {**headers, "Vary": ", ".join(names)} if names else headers
