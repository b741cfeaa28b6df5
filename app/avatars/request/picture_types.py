"""The table of picture types: path, parameters, formats, checks and cost of each.

How a type is drawn is in `generate/faces.py`, how its faces become a file in `encode/picture.py`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

from app.avatars.formats import FACE, LOOP, RASTER, STILL
from app.avatars.request import costs, parameters
from app.avatars.request.easing import EASES
from app.avatars.request.parameters import (
    FACE_PARAMETERS,
    LARGEST,
    LOOK_PARAMETERS,
    MODEL_PARAMETERS,
    SEED,
    SHAPE,
    SHAPES,
    Parameter,
    Values,
    choice,
    device_pixels,
    integer,
    number,
    seed,
)
from app.errors import InvalidParameter

LARGEST_LOOP = 512  # pixels along a side of an animation, which costs as much as 64 stills
LARGEST_SHEET = 4096  # pixels along a side of a sheet
PORTRAIT = 440  # pixels along a side of the face on a link card
CARD = (1200, 628)  # pixels; what readers of Open Graph show without cropping (1.91 : 1)


@dataclass(frozen=True, eq=False)
class PictureType:
    """One type of picture.

    single: the parameter with which a loop or a sheet becomes one still face. check: whether values
    fit together; raises InvalidParameter. count: how many faces a request shows. drawing: ms of the
    network for one of them. `layout`, formats, check and count are those of a request without
    `single`. face_size: the side of each face in device pixels; raises InvalidParameter.
    """

    path: str
    summary: str
    description: str
    example: str
    parameters: tuple[Parameter, ...]
    layout: Literal["face", "loop", "sheet", "card"] = "face"
    formats: tuple[str, ...] = STILL
    single: str | None = None
    count: Callable[[Values], int] = lambda _: 1
    drawing: Callable[[Values], float] = lambda _: costs.FACE
    check: Callable[[Values], object] = device_pixels
    face_size: Callable[[Values], int] = device_pixels

    @property
    def name(self) -> str:
        """`avatar` for /avatar."""
        return self.path.removeprefix("/")

    @property
    def all_formats(self) -> tuple[str, ...]:
        """The formats that some request of this type can have."""
        return STILL if self.single else self.formats

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters, `format` included."""
        return (*self.by_name, "format")

    def is_single(self, values: Values) -> bool:
        """Whether these values reduce a loop or a sheet to one face."""
        return self.single is not None and values[self.single] is not None

    def formats_of(self, values: Values) -> tuple[str, ...]:
        """The formats that a picture with these values can have."""
        return STILL if self.is_single(values) else self.formats

    def cost_shape(self, values: Values) -> costs.Shape:
        """What decides the cost of a request with these values."""
        is_single = self.is_single(values)
        faces, layout = (1, "face") if is_single else (self.count(values), self.layout)
        side = self.face_size(values)
        pixels, frames = side * side, 1
        if layout == "loop":
            frames = faces
        elif layout == "sheet":
            width, height = sheet_box(values, faces)
            pixels = width * height
        elif layout == "card":
            pixels = math.prod(CARD)
        drawing = self.drawing(values) * faces
        return costs.Shape(layout, values["format"], pixels, frames, faces, side, drawing)

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The values of all parameters but `format`. Raises InvalidParameter, InvalidSeed."""
        values = dict(self._defaults)
        for name, parameter in self.by_name.items():
            if name in texts:
                values[name] = parameter.value(texts[name])
            elif parameter.required:
                raise InvalidParameter(name, "is missing", parameter.domain)
        check = self.face_size if self.is_single(values) else self.check
        check(values)
        return values

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        return {name: parameter.default_value() for name, parameter in self.by_name.items()}


def _drawing_of_face(values: Values) -> float:
    """Faces with an age and the candidates of `best_of` take longer."""
    count: int = values["best_of"]
    face = costs.FACE if values["age"] is None else costs.AGED_FACE
    return face if count == 1 else costs.SCORED_FACE * count + face


def _count_sheet(values: Values) -> int:
    count: int = len(values["seeds"] or ()) or values["count"] or 1
    return count


def _check_loop(values: Values) -> None:
    device_pixels(values, LARGEST_LOOP)


def _check_grid(values: Values, count: int) -> None:
    largest = max(sheet_box(values, count))
    if largest > LARGEST_SHEET:
        domain = f"a size that makes a sheet of at most {LARGEST_SHEET} pixels along a side"
        raise InvalidParameter("size", f"makes {largest} pixels", domain)


def _check_sheet(values: Values) -> None:
    if (values["seeds"] is None) == (values["count"] is None):
        problem = "and count exclude each other, and one of them is required"
        raise InvalidParameter("seeds", problem, "either seeds, or count with start")
    _check_grid(values, _count_sheet(values))


def sheet_box(values: Values, count: int) -> tuple[int, int]:
    """The pixels of a sheet of `count` faces: (width, height)."""
    columns, gap = count_columns(values, count), values["gap"]
    step = device_pixels(values) + gap
    return columns * step + gap, math.ceil(count / columns) * step + gap


def count_columns(values: Values, count: int) -> int:
    """The columns of a sheet of `count` faces; as square as possible unless `columns` is given."""
    columns: int = values["columns"] or math.ceil(math.sqrt(count))
    return columns


EASE = choice(
    "ease",
    list(EASES),
    "The easing curve between two faces.",
    default="sine",
    example="linear",
)
FPS = number("fps", 1, 30, "Frames per second.", default="20", example=12)
FRAMES = partial(integer, "frames", 2, 64, "Number of frames.")
SMALL = integer("size", 16, LARGEST, "Side of each face.", default="96", example=64)
GRID = (
    integer("columns", 1, 100, "Faces per row. Default: as square as possible.", example=4),
    integer("gap", 0, 64, "Pixels around and between the faces.", default="0", example=8),
)

AVATAR = PictureType(
    path="/avatar",
    summary="The face of a seed",
    description="Equal seeds always give equal faces; without a seed, a new random face.",
    example="/avatar?seed=42&psi=0.7",
    parameters=(SEED, *LOOK_PARAMETERS, *MODEL_PARAMETERS, *FACE_PARAMETERS),
    formats=FACE,
    drawing=_drawing_of_face,
)
MORPH = PictureType(
    path="/morph",
    summary="From one face to another",
    description="With `t` one frame; without it a loop, there and back, as animated WebP, APNG or "
    f"GIF of at most {LARGEST_LOOP} pixels.",
    example="/morph?from=ada&to=grace&psi=0.7",
    parameters=(
        seed("from", "The face at t = 0.", required=True, example="ada"),
        seed("to", "The face at t = 1.", required=True, example="grace"),
        number("t", 0, 1, "The position between both faces. Default: a loop.", example=0.5),
        FRAMES(default="32", example=24),
        FPS,
        EASE,
        *LOOK_PARAMETERS,
        *MODEL_PARAMETERS,
    ),
    layout="loop",
    formats=LOOP,
    single="t",
    count=lambda values: values["frames"],
    check=_check_loop,
)
WALK = PictureType(
    path="/walk",
    summary="An endless walk through faces of one seed",
    description=f"A loop of at most {LARGEST_LOOP} pixels that starts and ends with the face of "
    "the seed.",
    example="/walk?seed=42&psi=0.7",
    parameters=(
        seed("seed", "The seed of the first face.", required=True, example="42"),
        integer("stops", 2, 12, "Number of faces on the way.", default="4", example=6),
        FRAMES(default="48", example=64),
        FPS,
        EASE,
        *LOOK_PARAMETERS,
        *MODEL_PARAMETERS,
    ),
    layout="loop",
    formats=LOOP,
    count=lambda values: values["frames"],
    check=_check_loop,
)
GROW = PictureType(
    path="/grow",
    summary="A face growing up",
    description="A loop through the checkpoints of the model's training, from the earliest saved "
    f"one to the final model and back, of at most {LARGEST_LOOP} pixels. Refused where a model "
    "saved none.",
    example="/grow?seed=42&psi=0.7",
    parameters=(
        seed("seed", "The seed of the face.", required=True, example="42"),
        FRAMES(default="32", example=24),
        FPS,
        EASE,
        *LOOK_PARAMETERS,
        *MODEL_PARAMETERS,
    ),
    layout="loop",
    formats=LOOP,
    count=lambda values: values["frames"],
    drawing=lambda _: costs.AGED_FACE,
    check=_check_loop,
)
MIX = PictureType(
    path="/mix",
    summary="The shapes of one face, the details of another",
    description="Refused where a model has no styles (`classic`).",
    example="/mix?coarse=ada&fine=grace&psi=0.7",
    parameters=(
        seed("coarse", "The seed of pose, hair and shapes.", required=True, example="ada"),
        seed("fine", "The seed of colours and details.", required=True, example="grace"),
        integer(
            "at",
            0,
            64,
            "The first row of w that comes from `fine`. Default: the middle row.",
            example=2,
        ),
        *LOOK_PARAMETERS,
        *MODEL_PARAMETERS,
    ),
)
BLEND = PictureType(
    path="/blend",
    summary="The face of a team",
    description="Percent-encode each seed once more within the list, so that commas and colons in "
    "it are not read as separators.",
    example="/blend?seeds=ada:2,grace:1&psi=0.7",
    parameters=(
        parameters.weighted_seeds(
            "seeds", 32, "Comma-separated seed:weight.", required=True, example="ada:2,grace:1"
        ),
        *LOOK_PARAMETERS,
        *MODEL_PARAMETERS,
    ),
)
FAMILY = PictureType(
    path="/family",
    summary="The children of two faces",
    description="A sheet of siblings, or with `child` one of them; the order of the parents does "
    "not matter.",
    example="/family?parents=ada,grace&psi=0.7",
    parameters=(
        parameters.seeds(
            "parents", 2, 2, "Two comma-separated seeds.", required=True, example="ada,grace"
        ),
        integer("children", 1, 16, "Number of children on the sheet.", default="6", example=9),
        integer("child", 0, 15, "The number of one child, from 0. Default: all.", example=0),
        *GRID,
        SMALL,
        *LOOK_PARAMETERS[1:],
        *MODEL_PARAMETERS,
    ),
    layout="sheet",
    formats=RASTER,
    single="child",
    count=lambda values: values["children"],
    check=lambda values: _check_grid(values, values["children"]),
)
SHEET = PictureType(
    path="/sheet",
    summary="Many faces in one picture",
    description=f"At most 100 faces and {LARGEST_SHEET} pixels along a side. Either `seeds`, or "
    "`count` and `start`.",
    example="/sheet?count=16&psi=0.7",
    parameters=(
        parameters.seeds("seeds", 1, 100, "Comma-separated seeds.", example="ada,grace,edsger"),
        integer("count", 1, 100, "Use this many consecutive numbers as seeds.", example=16),
        integer("start", 0, 999999, "The first of the numbers.", default="0", example=100),
        *GRID,
        SMALL,
        *LOOK_PARAMETERS[1:],
        *MODEL_PARAMETERS,
    ),
    layout="sheet",
    formats=RASTER,
    count=_count_sheet,
    check=_check_sheet,
)
OG = PictureType(
    path="/og",
    summary="A card for links (Open Graph)",
    description="1200 × 628 pixels: the face on a soft background of its own colours.",
    example="/og?seed=42&psi=0.7",
    parameters=(
        seed("seed", "The seed of the face.", required=True, example="42"),
        choice("shape", SHAPES, SHAPE.description, default="circle", example="rounded"),
        *MODEL_PARAMETERS,
        *FACE_PARAMETERS,
    ),
    layout="card",
    formats=RASTER,
    drawing=_drawing_of_face,
    check=lambda _: None,
    face_size=lambda _: PORTRAIT,
)
PICTURE_TYPES = (AVATAR, MORPH, WALK, GROW, MIX, BLEND, FAMILY, SHEET, OG)
