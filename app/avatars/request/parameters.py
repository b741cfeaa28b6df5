"""The parameters of pictures: parsing, bounds and documentation.

One Parameter serves the query, the body of `POST /avatars`, the command line and OpenAPI.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.avatars.request import value_types
from app.avatars.request.value_types import NUMBER, Seeds, WeightedSeeds
from app.errors import InvalidParameter
from models.registry import DEFAULT

LARGEST = 1024  # pixels along a side
LONGEST_MODEL = 64  # characters of a model's name
SHAPES = ("square", "circle", "rounded")
_INTEGER = re.compile(r"[0-9]{1,6}")

Values = Mapping[str, Any]  # parsed values by parameter name; None: not given and no default


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter.

    parse: text to value; raises ValueError outside the `domain`. domain: the texts that it accepts,
    in words or as a list. default: as a client would write it; None: the parameter may be absent,
    unless it is `required`. schema: the JSON schema of its value.
    """

    name: str
    parse: Callable[[str], Any]
    domain: str | Sequence[str]
    description: str
    default: str | None = None
    required: bool = False
    example: Any = None
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})

    def value(self, text: str) -> Any:
        """The value of a text. Raises InvalidParameter."""
        try:
            return self.parse(text)
        except ValueError:
            raise InvalidParameter(self.name, f"is {text[:40]!r}", self.domain) from None

    def default_value(self) -> Any:
        """The value of an absent parameter; None: it has no default."""
        return None if self.default is None else self.parse(self.default)

    def openapi(self) -> dict[str, Any]:
        """The parameter in OpenAPI."""
        schema = dict(self.schema)
        if self.default is not None:
            schema["default"] = self.default_value()
        return {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.description,
            "schema": schema,
            **({} if self.example is None else {"example": self.example}),
        }


def integer(name: str, low: int, high: int, description: str, **options: Any) -> Parameter:
    """An integer from `low` to `high`."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    schema = {"type": "integer", "minimum": low, "maximum": high}
    domain = f"a whole number from {low} to {high}"
    return Parameter(name, parse, domain, description, schema=schema, **options)


def number(name: str, low: float, high: float, description: str, **options: Any) -> Parameter:
    """A decimal number from `low` to `high`."""

    def parse(text: str) -> float:
        digits = text.removeprefix("-") if low < 0 else text
        if not NUMBER.fullmatch(digits) or not low <= float(text) <= high:
            raise ValueError(text)
        return float(text) + 0.0  # -0 becomes 0

    schema = {"type": "number", "minimum": low, "maximum": high}
    domain = f"a number from {low:g} to {high:g}"
    return Parameter(name, parse, domain, description, schema=schema, **options)


def choice(name: str, options: Sequence[str], description: str, **fields: Any) -> Parameter:
    """One of several words."""

    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    schema = {"type": "string", "enum": list(options)}
    return Parameter(name, parse, options, description, schema=schema, **fields)


def seed(name: str, description: str, **options: Any) -> Parameter:
    """One seed."""
    domain = "text of at most 4,096 bytes of UTF-8"
    return Parameter(name, value_types.parse_seed, domain, description, **options)


def seeds(name: str, low: int, high: int, description: str, **options: Any) -> Parameter:
    """From `low` to `high` comma-separated seeds."""

    def parse(text: str) -> Seeds:
        seeds = Seeds.parse(text)
        if not low <= len(seeds) <= high:
            raise ValueError(text)
        return seeds

    count = f"{low}" if low == high else f"{low} to {high}"
    domain = f"{count} comma-separated seeds, each percent-encoded"
    return Parameter(name, parse, domain, description, **options)


def weighted_seeds(name: str, high: int, description: str, **options: Any) -> Parameter:
    """At most `high` comma-separated seeds with weights."""

    def parse(text: str) -> WeightedSeeds:
        seeds = WeightedSeeds.parse(text)
        if len(seeds.seeds) > high:
            raise ValueError(text)
        return seeds

    domain = f"1 to {high} comma-separated seed:weight, the seed percent-encoded"
    return Parameter(name, parse, domain, description, **options)


def colour(name: str, description: str, **options: Any) -> Parameter:
    """A colour, or `transparent`."""
    domain = "3 or 6 hex digits, or transparent"
    return Parameter(
        name, value_types.parse_colour, domain, description, example="ffeedd", **options
    )


def _parse_model(text: str) -> str:
    text.encode()  # raises ValueError for half a character, which no database compares
    if not text or len(text) > LONGEST_MODEL:
        raise ValueError(text)
    return text


SEED = seed("seed", "Any text, including the empty one. Default: a new random seed.", example="42")
MODEL = Parameter(
    "model",
    _parse_model,
    "an alias, a version, or at least 12 of its hex digits",
    "An alias, a version, or the first 12 or more of its hex digits. Caches may keep a picture for "
    "ever only where this is a full version.",
    default=DEFAULT,
    example=DEFAULT,
)
# Above 1.5 latents are further from the average than the generator saw in training.
PSI = number(
    "psi",
    0,
    1.5,
    "Truncation: 0 gives the average face, below 1 faces are nearer to it, above 1 more extreme. "
    "Default: the model's own, on its card; 1 where it has none.",
    example=0.7,
)
SIZE = integer("size", 16, LARGEST, "Side in pixels.", default="128", example=256)
DPR = number(
    "dpr",
    1,
    4,
    f"Device pixels per pixel of `size`; a picture has at most {LARGEST} along a side.",
    default="1",
    example=2,
)
SHAPE = choice(
    "shape", SHAPES, "The shape that the face is cut to.", default="square", example="circle"
)
BACKDROP = colour(
    "backdrop",
    "The colour outside the shape. Formats without transparency replace `transparent` by white.",
    default=value_types.TRANSPARENT,
)
VARIANT = integer("variant", 0, 999, "Another face of the same seed.", default="0", example=1)
BEST_OF = integer(
    "best_of",
    1,
    16,
    "Draw this many variants and return the one that the model's critic scores highest.",
    default="1",
    example=1,  # more needs a model with a critic
)
AGE = number(
    "age",
    0,
    1,
    "Checkpoint age: 0 is the earliest saved checkpoint of the model's training, 1 the last. "
    "Default: the final model.",
)  # without an example: the page of the API fills examples in, and most models have no checkpoints
# What every picture has; what most have; what pictures of one seed's face have.
MODEL_PARAMETERS = (MODEL, PSI)
LOOK_PARAMETERS = (SIZE, DPR, SHAPE, BACKDROP)
FACE_PARAMETERS = (VARIANT, BEST_OF, AGE)


def device_pixels(values: Values, largest: int = LARGEST) -> int:
    """The side of a face in device pixels. Raises InvalidParameter above `largest`."""
    side = int(values["size"] * values["dpr"] + 0.5)
    if side > largest:
        name = "dpr" if values["dpr"] > 1 else "size"
        domain = f"size × dpr of at most {largest}"
        if largest < LARGEST:
            domain += " for an animation"
        raise InvalidParameter(name, f"makes {side} pixels", domain)
    return side
