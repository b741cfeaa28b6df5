"""Easing curves of loops: position from 0 to 1 over time from 0 to 1."""

import math
from collections.abc import Callable

EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "sine": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "cubic": lambda t: t * t * (3 - 2 * t),
}
