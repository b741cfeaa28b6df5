"""What an Accept header prefers (RFC 9110 §12.5.1)."""

import math
from collections.abc import Sequence

from app.avatars.encode.formats import FORMATS, available


def negotiate(accept: str | None, among: Sequence[str]) -> str:
    """The preferred format; the first of `among` where the header names none of them."""
    ranges = _ranges(accept or "")

    def wish(name: str) -> tuple[float, bool]:
        for pattern in (FORMATS[name].media, "image/*", "*/*"):
            if pattern in ranges:
                return ranges[pattern], "*" not in pattern
        return 0.0, False

    # max() keeps the first of equals, so the order is the server's preference.
    return max((name for name in among if name in available()), key=wish)


def _ranges(accept: str) -> dict[str, float]:
    ranges = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        ranges[media] = quality if math.isfinite(quality) else 0.0
    return ranges
