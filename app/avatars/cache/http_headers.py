"""What caches may do with an avatar."""

import hashlib
from collections.abc import Sequence

from app.avatars.encode.still import RENDERER
from app.avatars.request.picture_request import Asked
from app.avatars.request.value_types import quoted

PINNED = "public, max-age=31536000, immutable"
MOVABLE = "public, max-age=300, stale-while-revalidate=60, stale-if-error=43200"
NEVER = "no-store"


def etag(version: str, asked: Asked) -> str:
    """Weak: another machine may differ by 1 of 255 in a pixel. No picture is needed for it."""
    text = f"{version} {RENDERER} {asked.canonical}"
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def holds(if_none_match: Sequence[str], tag: str) -> bool:
    """Whether the client has this picture already (weak comparison, RFC 9110 §13.1.2).

    `if_none_match`: the values of all its If-None-Match lines.
    """
    known = [item.strip().removeprefix("W/") for line in if_none_match for item in line.split(",")]
    return "*" in known or tag.removeprefix("W/") in known


def headers(version: str, asked: Asked, tag: str | None) -> dict[str, str]:
    """The headers of a picture, or of its 304; without a tag it is for this once."""
    fields = {
        "X-Avatar-Model": version,
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "X-Avatar-Model, X-Avatar-Seed, Content-Location",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "none",
    }
    if asked.seed is not None:
        fields["X-Avatar-Seed"] = quoted(asked.seed)
    if tag is None:
        fields |= {"Cache-Control": NEVER, "Content-Location": asked.address()}
    else:
        pinned = asked.model == version
        fields |= {"Cache-Control": PINNED if pinned else MOVABLE, "ETag": tag}
    if asked.negotiated:
        fields["Vary"] = "Accept"
    return fields
