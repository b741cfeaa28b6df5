"""TIFFs of scanners, microscopes and editors: each looks like its plain twin, or says why not.

Pillow writes none of these, so the tests do (TIFF 6.0).
"""

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.datasets.images import BrokenImage, check_header, read_square
from tests.models.datasets.test_everyday_pictures import NEAR, SIDE, grey, on_white, twin, worst

COLOURS = np.asarray(twin())
GREY = np.asarray(twin().convert("L"))
OPAQUE = np.full((SIDE, SIDE, 1), 255, np.uint8)
RGB, WHITE_IS_ONE, CMYK, LAB = 2, 1, 5, 8  # photometric interpretations
UNSIGNED, FLOAT = 1, 3  # sample formats
PREMULTIPLIED, STRAIGHT = 1, 2  # extra samples


@dataclass(frozen=True)
class Kind:
    """What a TIFF's tags say of its samples."""

    photometric: int = RGB
    format: int = UNSIGNED
    alpha: int | None = None
    planes: bool = False
    order: Literal["<", ">"] = "<"


def tiff(samples: NDArray[np.generic], kind: Kind = Kind()) -> bytes:
    """An uncompressed TIFF of one strip, or of one for each plane. samples: (H, W, channels)."""
    height, width, channels = samples.shape
    order, bits = kind.order, samples.dtype.itemsize * 8
    planes = np.moveaxis(samples, -1, 0) if kind.planes else samples[None]
    strips = [plane.astype(samples.dtype.newbyteorder(order)).tobytes() for plane in planes]
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [1],
            262: [kind.photometric], 273: [0] * len(strips), 277: [channels], 278: [height],
            279: [len(strip) for strip in strips], 284: [1 + kind.planes],
            339: [kind.format] * channels}  # fmt: skip
    if kind.alpha is not None:
        tags[338] = [kind.alpha]
    start = 8 + 2 + 12 * len(tags) + 4
    outside = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    first = start + outside
    tags[273] = [first + sum(map(len, strips[:place])) for place in range(len(strips))]
    entries, values_after = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            offset = start + len(values_after)
            values_after += packed
            packed = struct.pack(f"{order}I", offset)
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return header + entries + bytes(4) + values_after + b"".join(strips)


def deep(samples: NDArray[np.uint8], kind: str = "u2", white: float = 65535) -> NDArray[np.generic]:
    levels = samples.astype(np.float64) / 255 * white
    return (levels if kind.startswith("f") else levels.round()).astype(kind)


WITH_ALPHA = np.concatenate([COLOURS, OPAQUE], axis=-1)
HALF_CLEAR = twin().convert("RGBA")
HALF_CLEAR.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
CLEAR = np.asarray(HALF_CLEAR)
GREY_CLEAR = np.asarray(HALF_CLEAR.convert("LA"))
CLEAR_TWIN, GREY_TWIN = on_white(HALF_CLEAR), grey(twin())
GREY_CLEAR_TWIN = on_white(HALF_CLEAR.convert("LA").convert("RGBA"))
ONE = WHITE_IS_ONE


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(tiff(deep(COLOURS)), twin(), id="16 bits, Pillow#2692"),
        pytest.param(tiff(deep(COLOURS), Kind(order=">")), twin(), id="16 bits of a Macintosh"),
        pytest.param(tiff(COLOURS, Kind(planes=True)), twin(), id="planes, libvips/libvips#73"),
        pytest.param(tiff(deep(WITH_ALPHA), Kind(alpha=STRAIGHT)), twin(), id="16 bits and alpha"),
        pytest.param(tiff(CLEAR, Kind(alpha=STRAIGHT)), CLEAR_TWIN, id="transparent"),
        pytest.param(tiff(CLEAR, Kind(alpha=PREMULTIPLIED)), CLEAR_TWIN,
                     id="premultiplied, TIFF 6.0 section 18"),
        pytest.param(tiff(GREY_CLEAR, Kind(ONE, alpha=STRAIGHT)), GREY_CLEAR_TWIN,
                     id="transparent grey"),
        pytest.param(tiff(GREY_CLEAR, Kind(ONE, alpha=PREMULTIPLIED)), GREY_CLEAR_TWIN,
                     id="premultiplied grey"),
        pytest.param(tiff(deep(np.asarray(twin().convert("CMYK"))), Kind(CMYK)), twin(),
                     id="16-bit CMYK"),
        pytest.param(tiff(deep(GREY[..., None]), Kind(ONE)), GREY_TWIN, id="16-bit grey"),
        pytest.param(tiff(deep(GREY[..., None], "u4", 2**32 - 1), Kind(ONE)), GREY_TWIN,
                     id="32 bits unsigned, Pillow#112"),
        pytest.param(tiff(deep(GREY[..., None], "f4", 1), Kind(ONE, FLOAT)), GREY_TWIN, id="float"),
    ],
)  # fmt: skip
def test_a_tiff_looks_as_in_a_viewer(data: bytes, expected: Image.Image) -> None:
    check_header(data)
    assert worst(data, expected) <= NEAR


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(tiff(deep(COLOURS), Kind(planes=True)), "a plane of 16 bits", id="planes"),
        pytest.param(tiff(deep(COLOURS, "f4", 1), Kind(format=FLOAT)), "damaged TIFF, or a kind",
                     id="float colours"),
        pytest.param(tiff(deep(COLOURS), Kind(LAB)), "damaged TIFF, or a kind", id="deep CIELAB"),
    ],
)  # fmt: skip
def test_a_tiff_that_pillow_cannot_read_says_that_its_kind_is_not_read(
    data: bytes, reason: str
) -> None:
    """Without the check the planes of 16 bits came out as other colours, without a word."""
    with pytest.raises(BrokenImage, match=reason):
        check_header(data)
    with pytest.raises(BrokenImage, match=reason):
        read_square(data, SIDE)
