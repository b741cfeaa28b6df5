"""A picture that somebody brought, read as a square of pixels.

Nothing here trusts the file: formats are an allow-list, and its size is known before it is decoded.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import DatasetError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif"})
MAX_PIXELS = 16_000_000
MIN_SIDE = 8  # pixels; below it there is no face to learn
JUNK = frozenset({"__macosx", ".ds_store", "thumbs.db", "desktop.ini"})


class BrokenImage(DatasetError):
    """One picture that cannot be used; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_image_name(name: str) -> bool:
    """Say whether a slash-separated name ends like a picture and is no system's litter."""
    parts = name.lower().split("/")
    if any(part in JUNK or part.startswith("._") for part in parts):
        return False
    return any(parts[-1].endswith(extension) for extension in EXTENSIONS)


def peek(data: bytes) -> None:
    """Raises BrokenImage for what is no picture in one of FORMATS, or a too large one.

    Reads its header alone: a picture that breaks off later is found when it is decoded.
    """
    with _opened(data) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise BrokenImage(f"{width}×{height} is more than {MAX_PIXELS:,} pixels")


def size_of(source: bytes | BinaryIO | Path) -> tuple[int, int]:
    """Width and height as a picture's header has them. Raises BrokenImage."""
    with _opened(source) as opened:
        return opened.size


def read_square(
    source: bytes | BinaryIO | Path, size: int, least: int = MIN_SIDE
) -> NDArray[np.uint8]:
    """Read one picture as (size, size, 3) uint8: upright, centre-cropped, over white.

    An animation gives its first frame. Raises BrokenImage for anything else than a whole picture
    in one of FORMATS with sides of `least` and up and at most MAX_PIXELS.
    """
    with _opened(source) as opened:
        _check_size(opened, least)
        # JPEG decodes at a half, quarter or eighth for free; 2x leaves the filter its work.
        opened.draft("RGB", (2 * size, 2 * size))
        return _square(_flat(ImageOps.exif_transpose(opened)), size)


@contextmanager
def _opened(source: bytes | BinaryIO | Path) -> Iterator[Image.Image]:
    """A picture whose header was read; whatever goes wrong with it becomes a BrokenImage."""
    try:
        with Image.open(_file(source), formats=FORMATS) as opened:
            yield opened
    except BrokenImage:
        raise
    except UnidentifiedImageError:
        raise BrokenImage(f"not a picture in a format we read ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BrokenImage(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:
        # Decoders raise whatever they like on hostile bytes: one bad file must not end the run.
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenImage(f"cannot be decoded: {detail}") from error


def _file(source: bytes | BinaryIO | Path) -> BinaryIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _check_size(image: Image.Image, least: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BrokenImage(f"{width}×{height} is more than {MAX_PIXELS:,} pixels")
    if min(width, height) < least:
        raise BrokenImage(f"{width}×{height} is smaller than {least} pixels")


def _flat(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB, transparency over white and 16 bits to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # convert() would clip these to 255 and leave a white square.
        deep = np.asarray(image).astype(np.float32) / 257
        return Image.fromarray(deep.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # reducing_gap: large pictures are box-reduced first, with no visible difference from 3.0 up.
    small = image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)
