"""Parses headers with quality values: Accept, Accept-Language (RFC 9110 §12.4.2)."""

import math


def qualities(header: str | None) -> dict[str, float]:
    """The weight of each value, in lower case; 1 without a `q`, 0 where `q` is malformed."""
    weights: dict[str, float] = {}
    for part in (header or "").lower().split(","):
        value, *parameters = (piece.strip() for piece in part.split(";"))
        if value:
            weights[value] = _quality(parameters)
    return weights


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                return 0.0
            return quality if math.isfinite(quality) else 0.0
    return 1.0
