"""Estimates of a picture's time and memory, from a measured table.

They decide when a picture is drawn and what it is charged, never what it looks like. Times are of
one core of an Intel Xeon with AVX-512, with the shipped model. `benchmarks/picture_costs.py`
measures the table again.
"""

from dataclasses import dataclass

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
class Encoding:
    """What one layout costs in one format.

    milliseconds: of a core, for a megapixel of the file, all frames together. bytes: the most
    memory that a pixel of one frame takes, and `total_bytes` a pixel of any frame.
    """

    milliseconds: float
    bytes: float
    total_bytes: float = 0.0


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

# By layout and format. A row of an SVG is for a megapixel of the face that is traced, that of JSON
# for one of the face that is described.
ENCODINGS = {
    ("face", "png"): Encoding(10, 17),
    ("face", "webp"): Encoding(98, 34),
    ("face", "jpeg"): Encoding(10, 9),
    ("face", "avif"): Encoding(133, 36),
    ("face", "apng"): Encoding(11, 17),
    ("face", "gif"): Encoding(201, 23),
    ("face", "svg"): Encoding(2528, 19),
    ("face", "json"): Encoding(1500, 19),
    ("loop", "webp"): Encoding(51, 39, 4.1),
    ("loop", "apng"): Encoding(11, 22, 2.2),
    ("loop", "gif"): Encoding(17, 25, 1.2),
    ("sheet", "png"): Encoding(26, 14),
    ("sheet", "webp"): Encoding(117, 35),
    ("sheet", "jpeg"): Encoding(10, 9),
    ("sheet", "avif"): Encoding(246, 34),
    ("card", "png"): Encoding(17, 16),
    ("card", "webp"): Encoding(54, 15),
    ("card", "jpeg"): Encoding(16, 14),
    ("card", "avif"): Encoding(77, 28),
}


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
    encoding = ENCODINGS[shape.layout, shape.format]
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
