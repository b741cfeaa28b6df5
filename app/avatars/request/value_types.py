"""Types of parameter values: lists of seeds with or without weights, and colours.

A seed may contain any character, so each seed of a list is percent-encoded once more: unencoded
commas and colons are then the separators.
"""

import re
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote

import numpy as np

from models.faces import latents

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?|\.[0-9]{1,20}")
TRANSPARENT = "transparent"
MOST_ITEMS = 100  # of a list of seeds; parameters allow fewer


def percent_encode(text: str) -> str:
    """Percent-encode text for a header, a list or a query."""
    return quote(text, safe="")


def parse_seed(text: str) -> str:
    """The seed itself. Raises InvalidSeed."""
    latents.seed_bytes(text)
    return text


def format_value(value: Any) -> str:
    """A value as a client writes it; floats without an exponent, which no parser here reads."""
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    return str(value)


class Seeds(tuple[str, ...]):
    """`a,b,c`; str() gives its canonical form."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidSeed, and ValueError for bytes that are not UTF-8, or too many seeds."""
        return cls(map(_parse_item, _split(text)))

    def __str__(self) -> str:
        return ",".join(map(percent_encode, self))


class WeightedSeeds(NamedTuple):
    """`a:2,b`: seeds and their weights, 1 by default; str() gives its canonical form."""

    seeds: Seeds
    weights: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidSeed, and ValueError for a weight that is no number, or too many seeds."""
        seeds, weights = [], []
        for item in _split(text):
            name, _, weight = item.partition(":")
            if ":" in item and not NUMBER.fullmatch(weight):
                raise ValueError(weight)
            seeds.append(_parse_item(name))
            weights.append(float(weight) if weight else 1.0)
        if sum(weights) == 0:
            raise ValueError("the weights sum to 0")
        return cls(Seeds(seeds), tuple(weights))

    def __str__(self) -> str:
        pairs = zip(self.seeds, self.weights, strict=True)
        return ",".join(f"{percent_encode(name)}:{format_value(weight)}" for name, weight in pairs)


def parse_colour(text: str) -> str:
    """`f80`, `#ff8800` or `transparent` → six lower-case hex digits or `transparent`.

    Raises ValueError.
    """
    if text == TRANSPARENT:
        return text
    match = _HEX.fullmatch(text)
    if match is None:
        raise ValueError(text)
    digits = match[1].lower()
    return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)


def _split(text: str) -> list[str]:
    items = text.split(",", MOST_ITEMS)
    if len(items) > MOST_ITEMS:
        raise ValueError("too many seeds")
    return items


def _parse_item(item: str) -> str:
    return parse_seed(unquote(item, errors="strict"))
