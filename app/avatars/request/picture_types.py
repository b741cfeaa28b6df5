"""The kinds of pictures: for each its parameters, whose faces it shows, how it is finished."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from app.avatars.encode import render
from app.avatars.encode.formats import MOVING, RASTER, STILL
from app.avatars.encode.layout import PORTRAIT
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.render import LARGEST_MOVING, LARGEST_SHEET
from app.avatars.generate import faces as subjects
from app.avatars.request import parameters
from app.avatars.request.parameters import (
    AGE,
    BEST_OF,
    COMMON,
    LOOK,
    SEED,
    SHAPE,
    VARIANT,
    Parameter,
    Values,
)
from app.errors import InvalidParameter
from models.bundle.generator import Drawer, Pixels

Finish = Callable[[Pixels, Values, Stamp], bytes]


def _any(_: Values) -> None:
    return None


def _still(_: Values) -> tuple[str, ...]:
    return STILL


@dataclass(frozen=True)
class Kind:
    """`check` raises InvalidParameter for values that do not go together."""

    path: str
    summary: str
    text: str
    rows: tuple[Parameter, ...]
    faces: Callable[[Values, Drawer], Pixels]
    finish: Finish
    formats: Callable[[Values], tuple[str, ...]] = _still
    check: Callable[[Values], object] = parameters.pixels
    example: str = ""
    size: Callable[[Values], int] = parameters.pixels  # of each face

    @property
    def all_formats(self) -> tuple[str, ...]:
        """Whatever else is asked; a way between stills and loops knows both."""
        return STILL if self.formats({"t": 0, "child": 0}) == STILL else self.formats({})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all its parameters."""
        return (*self._rows, "format")

    def read(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The values, the format aside. Raises InvalidParameter, InvalidSeed."""
        found = dict(self._defaults)
        for name, row in self._rows.items():
            if name in given:
                found[name] = row.value(given[name])
            elif row.required:
                raise InvalidParameter(name, "is missing", row.allowed)
        self.check(found)
        return found

    def draw(self, given: Values, drawer: Drawer, stamp: Stamp) -> bytes:
        """The file's bytes."""
        return self.complete(self.faces(given, drawer), given, drawer, stamp)

    def complete(self, pixels: Pixels, given: Values, drawer: Drawer, stamp: Stamp) -> bytes:
        """The file's bytes for faces (N, S, S, 3) that the generator drew."""
        # A drawing of paths has no size, so it is traced from the largest face there is.
        size = parameters.LARGEST if given["format"] == "svg" else self.size(given)
        return self.finish(drawer.enlarge(pixels, size), given, stamp)

    @cached_property
    def _rows(self) -> dict[str, Parameter]:
        return {row.name: row for row in self.rows}

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        return {
            name: None if row.default is None else row.read(row.default)
            for name, row in self._rows.items()
        }


whole, number, seed = parameters.whole, parameters.number, parameters.seed
EASE = parameters.choice(
    "ease", list(subjects.EASES), "How a loop leaves and arrives.", default="sine", example="linear"
)
FPS = number("fps", 1, 30, "Frames a second of a loop.", default="20", example=12)
FRAMES = partial(whole, "frames", 2, 64, "Frames of a loop.")
SMALL = whole("size", 16, parameters.LARGEST, "Side of one face.", default="96", example=64)
GRID = (
    whole("columns", 1, 100, "Faces in a row; else as square as can be.", example=4),
    whole("gap", 0, 64, "Pixels around and between the faces.", default="0", example=8),
)

AVATAR = Kind(
    "/avatar",
    "The face of a seed",
    "The same seed is the same face, always; without one, a face that nobody saw before.",
    (SEED, *LOOK, *COMMON, VARIANT, BEST_OF, AGE),
    subjects.face,
    render.still,
    example="/avatar?seed=42&psi=0.7",
)
MORPH = Kind(
    "/morph",
    "From one face to another",
    "With `t` one frame of the way; without it a loop, there and back, as animated WebP, APNG or "
    f"GIF of at most {LARGEST_MOVING} pixels.",
    (
        seed("from", "The face at t = 0.", required=True, example="ada"),
        seed("to", "The face at t = 1.", required=True, example="grace"),
        number("t", 0, 1, "How far; without it a loop.", example=0.5),
        FRAMES(default="32", example=24),
        FPS,
        EASE,
        *LOOK,
        *COMMON,
    ),
    subjects.morph,
    render.moving,
    lambda given: MOVING if given["t"] is None else STILL,
    render.check_morph,
    "/morph?from=ada&to=grace&psi=0.7",
)
WALK = Kind(
    "/walk",
    "An endless walk through faces of one seed",
    f"A loop of at most {LARGEST_MOVING} pixels that begins and ends with the seed's own face.",
    (
        seed("seed", "Where it begins.", required=True, example="42"),
        whole("stops", 2, 12, "Faces that it passes.", default="4", example=6),
        FRAMES(default="48", example=64),
        FPS,
        EASE,
        *LOOK,
        *COMMON,
    ),
    subjects.walk,
    render.moving,
    lambda _: MOVING,
    partial(parameters.pixels, most=LARGEST_MOVING),
    "/walk?seed=42&psi=0.7",
)
GROW = Kind(
    "/grow",
    "A face growing up",
    "A loop through the moments of its model's training, from the first that was kept to now and "
    f"back, of at most {LARGEST_MOVING} pixels. Refused where a model kept none.",
    (
        seed("seed", "Whose face.", required=True, example="42"),
        FRAMES(default="32", example=24),
        FPS,
        EASE,
        *LOOK,
        *COMMON,
    ),
    subjects.grow,
    render.moving,
    lambda _: MOVING,
    partial(parameters.pixels, most=LARGEST_MOVING),
    "/grow?seed=42&psi=0.7",
)
MIX = Kind(
    "/mix",
    "The shapes of one face, the details of another",
    "Refused where a model has no styles (`classic`).",
    (
        seed("coarse", "Whose pose, hair and shapes.", required=True, example="ada"),
        seed("fine", "Whose colours and details.", required=True, example="grace"),
        whole("at", 0, 64, "The first row of w that is `fine`'s; else the middle one.", example=2),
        *LOOK,
        *COMMON,
    ),
    subjects.mix,
    render.still,
    example="/mix?coarse=ada&fine=grace&psi=0.7",
)
BLEND = Kind(
    "/blend",
    "The face of a team",
    "Percent-encode each seed once more within the list, so that its own commas and colons differ.",
    (
        parameters.weighted(
            "seeds", 32, "seed:weight, parted by commas.", required=True, example="ada:2,grace:1"
        ),
        *LOOK,
        *COMMON,
    ),
    subjects.blend,
    render.still,
    example="/blend?seeds=ada:2,grace:1&psi=0.7",
)
FAMILY = Kind(
    "/family",
    "The children of two faces",
    "A sheet of siblings, or with `child` one of them; the order of the parents means nothing.",
    (
        parameters.seeds(
            "parents", 2, 2, "Two seeds, parted by a comma.", required=True, example="ada,grace"
        ),
        whole("children", 1, 16, "How many on the sheet.", default="6", example=9),
        whole("child", 0, 15, "Which one alone, from 0.", example=0),
        *GRID,
        SMALL,
        *LOOK[1:],
        *COMMON,
    ),
    subjects.family,
    render.sheet,
    lambda given: RASTER if given["child"] is None else STILL,
    render.check_family,
    "/family?parents=ada,grace&psi=0.7",
)
SHEET = Kind(
    "/sheet",
    "Many faces in one picture",
    f"At most 100 faces and {LARGEST_SHEET} pixels a side. Either `seeds`, or `count` and `start`.",
    (
        parameters.seeds("seeds", 1, 100, "Seeds, parted by commas.", example="ada,grace,edsger"),
        whole("count", 1, 100, "So many consecutive numbers as seeds.", example=16),
        whole("start", 0, 999999, "The first of the numbers.", default="0", example=100),
        *GRID,
        SMALL,
        *LOOK[1:],
        *COMMON,
    ),
    subjects.faces,
    render.sheet,
    lambda _: RASTER,
    render.check_sheet,
    "/sheet?count=16&psi=0.7",
)
OG = Kind(
    "/og",
    "A card for links (Open Graph)",
    "1200 × 628 pixels: the face before a soft ground of its own colours.",
    (
        seed("seed", "Whose face.", required=True, example="42"),
        parameters.choice("shape", SHAPE.allowed, SHAPE.text, default="circle", example="rounded"),
        *COMMON,
        VARIANT,
        BEST_OF,
        AGE,
    ),
    subjects.face,
    render.card,
    lambda _: RASTER,
    _any,
    "/og?seed=42&psi=0.7",
    size=lambda _: PORTRAIT,
)
KINDS = (AVATAR, MORPH, WALK, GROW, MIX, BLEND, FAMILY, SHEET, OG)
