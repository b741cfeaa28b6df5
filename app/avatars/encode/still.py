"""From a face's pixels to the bytes of a still picture."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from app.avatars.encode import png, svg
from app.avatars.encode.formats import FORMATS
from app.avatars.encode.provenance import Stamp
from models.bundle.generator import Pixels
from models.faces.resizing import resize

# Part of every ETag: raise it whenever the same model and parameters give other bytes.
RENDERER = 4
SHAPES = ("square", "circle", "rounded")
CORNER = 1 / 6  # a rounded picture's radius, of its side
WHITE = "ffffff"  # beneath a shape where a format knows no transparency

_SAVE: dict[str, dict[str, int]] = {
    "webp": {"quality": 90, "method": 4},
    # Subsampled colour would blur the thin dark lines.
    "jpeg": {"quality": 92, "subsampling": 0},
    # As near to the pixels as that WebP, in 0.85 of its bytes. One thread, so that the bytes depend
    # on no split; speed 8 takes a third of the default's time.
    "avif": {"quality": 70, "speed": 8, "max_threads": 1},
    "gif": {"optimize": 0},
}


@dataclass(frozen=True)
class Look:
    """`backdrop`: six hex digits for what `shape` leaves free; None: transparent."""

    shape: str = "square"
    backdrop: str | None = None


PLAIN = Look()
UNKNOWN = Stamp("", "")


def encode(
    pixels: Pixels, size: int, format: str, look: Look = PLAIN, stamp: Stamp = UNKNOWN
) -> bytes:
    """(S, S, 3) uint8 to a file's bytes; the same for the same pixels, as no clock gets in."""
    if format == "svg":
        return svg.trace(pixels, size, look.shape, look.backdrop, stamp)
    return write(shaped(resize(pixels, size), look, FORMATS[format].alpha), format, stamp)


def write(image: Image.Image, format: str, stamp: Stamp) -> bytes:
    """An RGB or RGBA picture as the bytes of any format that has pixels."""
    if format in ("png", "apng"):  # an APNG of one frame is a PNG
        return png.encode(np.asarray(image), [stamp.chunk()])
    more: dict[str, Any] = {"xmp": stamp.xmp()}
    if format == "gif":
        image, more = paletted(image), {"comment": stamp.comment()}
    target = io.BytesIO()
    image.save(target, FORMATS[format].pillow, **_SAVE[format], **more)
    return target.getvalue()


def shaped(image: Image.Image, look: Look, alpha: bool) -> Image.Image:
    """A square picture cut to its shape: RGBA, or RGB where something lies beneath."""
    if look.shape == "square":
        return image
    mask = _mask(look.shape, image.width)
    if look.backdrop is None and alpha:
        image = image.copy()
        image.putalpha(mask)
        return image
    beneath = Image.new("RGB", image.size, f"#{look.backdrop or WHITE}")
    beneath.paste(image, mask=mask)
    return beneath


def paletted(image: Image.Image) -> Image.Image:
    """At most 256 colours; more than half transparent becomes transparent."""
    opaque = image.convert("RGB").quantize(255, dither=Image.Dither.NONE)
    if image.mode == "RGBA":
        opaque.paste(255, mask=ImageChops.invert(image.getchannel("A")).point(_half))
        opaque.info["transparency"] = 255
    return opaque


def _half(value: int) -> int:
    return 255 if value > 127 else 0


@lru_cache(maxsize=32)
def _mask(shape: str, size: int) -> Image.Image:
    """Coverage from the distance to the edge, so that it is smooth at any size."""
    half = size / 2
    radius = half if shape == "circle" else size * CORNER
    offset = np.abs(np.arange(size) + 0.5 - half) - (half - radius)
    x, y = np.meshgrid(offset, offset)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0)) - radius
    distance = np.where(np.maximum(x, y) > 0, outside, -radius)
    return Image.fromarray((np.clip(0.5 - distance, 0, 1) * 255).round().astype(np.uint8))
