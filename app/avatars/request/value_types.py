"""The values that parameters hold: lists of seeds, with or without weights, and colours.

A seed may hold any character, so within a list each is percent-encoded once more: the comma and
the colon that part them are then the bare ones.
"""

import re
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote

import numpy as np

from models.faces import latents

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?|\.[0-9]{1,20}")
TRANSPARENT = "transparent"


def quoted(text: str) -> str:
    """Percent-encoded, fit for a header, a list or a query."""
    return quote(text, safe="")


def seed(text: str) -> str:
    """A seed as it stands. Raises InvalidSeed."""
    latents.seed_bytes(text)
    return text


def text(value: Any) -> str:
    """As a client would write it; numbers as decimals, since no exponent is read."""
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    return str(value)


class Seeds(tuple[str, ...]):
    """`a,b,c`; its text is canonical."""

    __slots__ = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises InvalidSeed, and ValueError for bytes that are no UTF-8."""
        return cls(_seed(item) for item in text.split(","))

    def __str__(self) -> str:
        return ",".join(map(quoted, self))


class Weighted(NamedTuple):
    """`a:2,b`: seeds and their weights, 1 where none is given; its text is canonical."""

    seeds: Seeds
    weights: tuple[float, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises InvalidSeed, and ValueError for a weight that is no number or a sum of 0."""
        seeds, weights = [], []
        for item in text.split(","):
            name, _, weight = item.partition(":")
            if ":" in item and not NUMBER.fullmatch(weight):
                raise ValueError(weight)
            seeds.append(_seed(name))
            weights.append(float(weight) if weight else 1.0)
        if sum(weights) == 0:
            raise ValueError("nothing has a weight")
        return cls(Seeds(seeds), tuple(weights))

    def __str__(self) -> str:
        pairs = zip(self.seeds, self.weights, strict=True)
        return ",".join(f"{quoted(name)}:{text(weight)}" for name, weight in pairs)


def colour(text: str) -> str:
    """`f80`, `#ff8800` or `transparent` → six lower hex digits or `transparent`."""
    if text == TRANSPARENT:
        return text
    found = _HEX.fullmatch(text)
    if found is None:
        raise ValueError(text)
    digits = found[1].lower()
    return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)


def _seed(item: str) -> str:
    return seed(unquote(item, errors="strict"))
