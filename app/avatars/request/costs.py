"""Estimates of a picture's time and memory, from measurements.

They decide when a picture is drawn and what it is charged, never what it looks like. Times are of
one core of an Intel Xeon with AVX-512, with the shipped model. What encoding costs is in the table
of formats (`app/avatars/formats.py`); `benchmarks/picture_costs.py` measures it again.
"""

from dataclasses import dataclass

from app.avatars.formats import FORMATS
from app.avatars.request.parameters import LARGEST

# ms of a core for one face from the network; more for an age, whose weights are interpolated for
# it, and for a candidate of `best_of`, which the critic scores.
FACE, AGED_FACE, SCORED_FACE = 3.0, 15.0, 7.0
# Faces larger than this pass through the enlarger, where the model has one: ms for each.
ENLARGED_ABOVE, ENLARGED_FACE = 64, 4.5  # pixels, ms
UNIT = 10.0  # ms that the rate limit charges as one face; a plain face takes less
# Units for a model that has to be loaded: a bundle of 11 MB takes 0.3 s of a core.
LOADING_UNITS = 25
# Bytes of any picture. The activations of the network belong to the thread
# (`app/avatars/generate/memory_budget.py`).
FIXED_BYTES = 2**20
FACE_BYTES = 3  # a pixel of every face


@dataclass(frozen=True)
class Estimate:
    """What drawing and encoding one picture takes: ms of one core, and bytes at its peak."""

    milliseconds: float
    bytes: int
    faces: int = 1

    @property
    def units(self) -> int:
        """What the rate limit charges: at least 1 for each face that the picture shows."""
        return max(self.faces, round(self.milliseconds / UNIT))


PLAIN = Estimate(FACE, FIXED_BYTES)  # a face up to the network's resolution


@dataclass(frozen=True)
class Shape:
    """What of a request decides its cost.

    pixels: of one frame of the file. frames: 1 for a still. faces: how many it shows. face_size:
    the side of each. drawing: ms of the network for all of them.
    """

    layout: str
    format: str
    pixels: int
    frames: int
    faces: int
    face_size: int
    drawing: float


def estimate(shape: Shape, has_enlarger: bool = True) -> Estimate:
    """The estimate of a picture, by a model with or without an enlarger."""
    encoding = FORMATS[shape.format].costs[shape.layout]
    own_sizes = {"svg": LARGEST, "json": ENLARGED_ABOVE}  # whatever size is requested
    side = own_sizes.get(shape.format, shape.face_size)
    enlarging = 0.0
    if has_enlarger and side > ENLARGED_ABOVE:
        enlarging = ENLARGED_FACE * shape.faces
    else:
        side = ENLARGED_ABOVE
    pixels = side * side if shape.format in own_sizes else shape.pixels
    milliseconds = encoding.milliseconds * pixels * shape.frames / 1e6
    peak = float(FACE_BYTES * shape.faces * side * side)
    peak += pixels * (encoding.bytes + encoding.total_bytes * shape.frames)
    milliseconds += shape.drawing + enlarging
    return Estimate(milliseconds, FIXED_BYTES + int(peak), shape.faces)
