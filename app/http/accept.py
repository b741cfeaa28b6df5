"""Quality values of Accept and Accept-Language headers (RFC 9110 §12.4.2)."""

import math


def parse_qualities(header: str) -> list[tuple[str, float]]:
    """The items of a header, in its order and in lower case, with their quality from 0 to 1.

    An item without a quality has 1; one whose quality is not a number has 0, so it is never chosen.
    """
    qualities = []
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = _parse_quality(value)
        qualities.append((name, quality))
    return qualities


def _parse_quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return min(max(quality, 0.0), 1.0) if math.isfinite(quality) else 0.0
