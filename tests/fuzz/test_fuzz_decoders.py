"""However a picture was changed, it is read as pixels or refused, within a budget of memory."""

import io
import resource
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from models.datasets.images import BrokenImage, check_header, read_square, size_of
from tests.models.datasets.test_everyday_colours import (
    bmp_with,
    camera_exif,
    gamma,
    gif_with,
    png,
)
from tests.models.datasets.test_everyday_pictures import PROFILES, encode, twin

HEIC = Path(__file__).parents[1] / "fixtures" / "heic"
OFTEN = settings(deadline=None, suppress_health_check=list(HealthCheck))
SIDES = (8, 16, 64)
# Bytes above what the process had before: 26 megapixels of HEIC at 12 bytes each, and the copies
# of 16 megapixels that deep grey is scaled in.
MEMORY = 700 << 20
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P",),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "F"),
}
# Files that say what their numbers mean, each where only our own code reads it.
PROFILE = PROFILES["Display P3"]
WITH_COLOURS: dict[str, tuple[Callable[[], bytes], ...]] = {
    "PNG": (lambda: png(twin(), cICP=bytes([12, 13, 0, 1])), lambda: png(twin(), gAMA=gamma(1))),
    "JPEG": (lambda: encode(twin(), "JPEG", exif=camera_exif(b"R03\0"), icc_profile=PROFILE),
             lambda: encode(twin(), "JPEG", exif=camera_exif(b"R03\0"))),
    "GIF": (lambda: gif_with(PROFILE),),
    "BMP": (lambda: bmp_with(PROFILE),),
}  # fmt: skip
COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
Changes = list[tuple[float, bytes, int]]
NUMBER = st.integers(0, 2**32 - 1).map(lambda value: struct.pack("<I", value))
BIG = st.integers(0, 2**32 - 1).map(lambda value: struct.pack(">I", value))
# Where to change, as a part of the whole; what with; how many bytes it replaces. Whole numbers
# replace the four bytes that a size, an offset or a count has in these formats.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 8))
    | st.tuples(st.floats(0, 1, exclude_max=True), NUMBER | BIG, st.just(4)),
    max_size=6,
)


@lru_cache(maxsize=1)
def baseline() -> int:
    """The largest memory of this process, in bytes, before the first changed picture."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def picture(format: str, mode: str, compression: str | None = None) -> bytes:
    """A picture of 24 by 20 pixels with a gradient."""
    grey = np.add.outer(np.arange(20), np.arange(24)).astype(np.uint8) * 5
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = image.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (24, 20))
    target = io.BytesIO()
    options = {"compression": compression} if compression else {}
    image.save(target, format, **options)
    return target.getvalue()


@lru_cache(maxsize=8)
def bases(format: str) -> list[bytes]:
    """Honest files of a format, in each of its modes and compressions; each is read."""
    files = [path.read_bytes() for path in sorted(HEIC.glob("*.heic"))] if format == "HEIF" else []
    for mode in MODES.get(format, ()):
        for compression in COMPRESSIONS if format == "TIFF" else (None,):
            if compression == "jpeg" and mode not in ("L", "RGB", "YCbCr"):
                continue
            files.append(picture(format, mode, compression))
    files += [write() for write in WITH_COLOURS.get(format, ())]
    for content in files:
        read_square(content, 16)
    return files


def damage(format: str, index: int, changes: Changes) -> bytes:
    """An honest file with bytes put in, taken away or replaced."""
    files = bases(format)
    data = bytearray(files[index % len(files)])
    for where, new, length in changes:
        start = int(where * len(data))
        data[start : start + length] = new
    return bytes(data)


def check(content: bytes, side: int) -> None:
    """Read a file in the ways that uploads and training do."""
    before = baseline()
    try:
        width, height = size_of(content)
        check_header(content)
        pixels = read_square(content, side)
        assert pixels.shape == (side, side, 3)
        assert min(width, height) >= 8
    except BrokenImage:
        pass  # a refusal
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY


@OFTEN
@given(index=st.integers(0, 999), changes=CHANGES, side=st.sampled_from(SIDES))
def test_any_heic_is_read_or_refused(index: int, changes: Changes, side: int) -> None:
    check(damage("HEIF", index, changes), side)


@OFTEN
@given(index=st.integers(0, 999), changes=CHANGES, side=st.sampled_from(SIDES))
def test_any_tiff_is_read_or_refused(index: int, changes: Changes, side: int) -> None:
    check(damage("TIFF", index, changes), side)


@OFTEN
@given(
    format=st.sampled_from([each for each in MODES if each != "TIFF"]),
    index=st.integers(0, 999),
    changes=CHANGES,
    side=st.sampled_from(SIDES),
)
def test_any_other_picture_is_read_or_refused(
    format: str, index: int, changes: Changes, side: int
) -> None:
    check(damage(format, index, changes), side)
