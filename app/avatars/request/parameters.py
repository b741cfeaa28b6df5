"""The parameters of pictures: how each is read, and how it is documented.

One row serves the query, the body of a batch, the command line and OpenAPI.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.avatars.encode.still import SHAPES
from app.avatars.request import value_types
from app.avatars.request.value_types import NUMBER, Seeds, Weighted
from app.errors import InvalidParameter
from models.registry import DEFAULT

LARGEST = 1024  # pixels along a side
LONGEST_MODEL = 64
_INTEGER = re.compile(r"[0-9]{1,6}")

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """`default`: as a client would write it; None: may be absent, unless it is `required`.

    `read` raises ValueError for what is not `allowed`.
    """

    name: str
    read: Callable[[str], Any]
    allowed: str | Sequence[str]
    text: str
    default: str | None = None
    required: bool = False
    example: Any = None
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})

    def value(self, text: str) -> Any:
        """Raises InvalidParameter."""
        try:
            return self.read(text)
        except ValueError:
            raise InvalidParameter(self.name, f"is {text[:40]!r}", self.allowed) from None

    def documented(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        schema = dict(self.schema)
        if self.default is not None:
            schema["default"] = self.read(self.default)
        shown = {"description": self.text, "schema": schema, "example": self.example}
        return {"name": self.name, "in": "query", "required": self.required, **shown}


def whole(name: str, low: int, high: int, text: str, **more: Any) -> Parameter:
    """A whole number within bounds."""

    def read(given: str) -> int:
        if not _INTEGER.fullmatch(given) or not low <= int(given) <= high:
            raise ValueError(given)
        return int(given)

    schema = {"type": "integer", "minimum": low, "maximum": high}
    allowed = f"a whole number from {low} to {high}"
    return Parameter(name, read, allowed, text, schema=schema, **more)


def number(name: str, low: float, high: float, text: str, **more: Any) -> Parameter:
    """A decimal number within bounds."""

    def read(given: str) -> float:
        digits = given.removeprefix("-") if low < 0 else given
        if not NUMBER.fullmatch(digits) or not low <= float(given) <= high:
            raise ValueError(given)
        return float(given) + 0.0  # -0 is 0

    schema = {"type": "number", "minimum": low, "maximum": high}
    allowed = f"a number from {low:g} to {high:g}"
    return Parameter(name, read, allowed, text, schema=schema, **more)


def choice(name: str, options: Sequence[str], text: str, **more: Any) -> Parameter:
    """One word of several."""

    def read(given: str) -> str:
        if given not in options:
            raise ValueError(given)
        return given

    schema = {"type": "string", "enum": list(options)}
    return Parameter(name, read, options, text, schema=schema, **more)


def seed(name: str, text: str, **more: Any) -> Parameter:
    """Any text."""
    return Parameter(name, value_types.seed, "text of at most 4,096 bytes of UTF-8", text, **more)


def seeds(name: str, low: int, high: int, text: str, **more: Any) -> Parameter:
    """Several seeds, parted by commas."""

    def read(given: str) -> Seeds:
        found = Seeds.read(given)
        if not low <= len(found) <= high:
            raise ValueError(given)
        return found

    many = f"{low}" if low == high else f"{low} to {high}"
    allowed = f"{many} seeds, each percent-encoded, parted by commas"
    return Parameter(name, read, allowed, text, **more)


def weighted(name: str, most: int, text: str, **more: Any) -> Parameter:
    """Several seeds with weights."""

    def read(given: str) -> Weighted:
        found = Weighted.read(given)
        if len(found.seeds) > most:
            raise ValueError(given)
        return found

    allowed = f"1 to {most} of seed:weight, the seed percent-encoded, parted by commas"
    return Parameter(name, read, allowed, text, **more)


def colour(name: str, text: str, **more: Any) -> Parameter:
    """A colour or none."""
    allowed = "3 or 6 hex digits, or transparent"
    return Parameter(name, value_types.colour, allowed, text, example="ffeedd", **more)


def _model(text: str) -> str:
    if not text or len(text) > LONGEST_MODEL:
        raise ValueError(text)
    return text


SEED = seed("seed", "Any text, the empty one too. None: a random one.", example="42")
MODEL = Parameter(
    "model",
    _model,
    "an alias, a version, or at least 12 of its hex digits",
    "An alias, a version, or 12 or more of its hex digits. Only a full version is immutable for "
    "caches.",
    default=DEFAULT,
    example="latest",
)
# Beyond 1.5 a face leaves what the generator saw in training.
PSI = number(
    "psi",
    0,
    1.5,
    "0: the average face; below 1 nearer to it, above bolder.",
    default="1",
    example=0.7,
)
SIZE = whole("size", 16, LARGEST, "Side in pixels.", default="128", example=256)
DPR = number(
    "dpr",
    1,
    4,
    f"Device pixels for each of `size`; the picture has at most {LARGEST}.",
    default="1",
    example=2,
)
SHAPE = choice("shape", SHAPES, "What is cut out.", default="square", example="circle")
BACKDROP = colour(
    "backdrop",
    "What lies beneath the shape; where the format has no transparency it is white.",
    default=value_types.TRANSPARENT,
)
VARIANT = whole("variant", 0, 999, "Another face of the same seed.", default="0", example=1)
BEST_OF = whole(
    "best_of",
    1,
    16,
    "Of so many variants, the one that the model's own critic finds best.",
    default="1",
    example=4,
)
AGE = number(
    "age",
    0,
    1,
    "A moment of the model's training: 0 the first that it kept, 1 the last. None: now.",
    example=0.25,
)
LOOK = (SIZE, DPR, SHAPE, BACKDROP)
COMMON = (MODEL, PSI)


def pixels(given: Values, most: int = LARGEST) -> int:
    """The side in device pixels. Raises InvalidParameter above `most`."""
    side = int(given["size"] * given["dpr"] + 0.5)
    if side > most:
        name = "dpr" if given["dpr"] > 1 else "size"
        told = f"size × dpr of at most {most}" + (" in motion" if most < LARGEST else "")
        raise InvalidParameter(name, f"makes {side} pixels", told)
    return side
