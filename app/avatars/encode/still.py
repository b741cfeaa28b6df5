"""Encodes one face as a still picture."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from app.avatars.encode import png, svg
from app.avatars.encode.provenance import Stamp
from app.avatars.formats import FORMATS
from app.avatars.request.parameters import Values
from app.avatars.request.value_types import TRANSPARENT
from app.errors import InvalidParameter
from models.bundle.generator import Pixels
from models.faces.resizing import resize

# Part of every ETag: increment it whenever equal models and parameters give other bytes.
RENDERER = 4
CORNER = 1 / 6  # radius of rounded corners, as a share of the side
WHITE = "ffffff"  # the backdrop where a format has no transparency


@dataclass(frozen=True)
class Look:
    """`backdrop`: six hex digits, the colour outside `shape`; None: transparent."""

    shape: str = "square"
    backdrop: str | None = None

    @classmethod
    def parse(cls, values: Values) -> "Look":
        """The look of a request; a card has no backdrop."""
        backdrop = values.get("backdrop", TRANSPARENT)
        return cls(values["shape"], None if backdrop == TRANSPARENT else backdrop)


SQUARE = Look()
NO_STAMP = Stamp("", "")
LARGEST_XMP = 65_504  # bytes, of a JPEG's segment (XMP Part 3, 1.1.3)


def encode(
    pixels: Pixels, size: int, format: str, look: Look = SQUARE, stamp: Stamp = NO_STAMP
) -> bytes:
    """(S, S, 3) uint8 to the bytes of a file, which hold no time: equal pixels give equal bytes."""
    if format == "svg":
        return svg.trace(pixels, size, look.shape, look.backdrop, stamp)
    return write(cut(resize(pixels, size), look, FORMATS[format].has_alpha), format, stamp)


def write(image: Image.Image, format: str, stamp: Stamp) -> bytes:
    """An RGB or RGBA image to the bytes of any format but SVG. Raises InvalidParameter."""
    if format in ("png", "apng"):  # an APNG of one frame is a PNG
        return png.encode(np.asarray(image), [stamp.chunk()])
    metadata: dict[str, Any] = {"xmp": stamp.xmp()}
    if format == "jpeg" and len(metadata["xmp"]) > LARGEST_XMP:
        raise InvalidParameter("format", "cannot hold so long an address", "png or webp")
    if format == "gif":
        image, metadata = reduce_colours(image), {"comment": stamp.comment()}
    target = io.BytesIO()
    image.save(target, FORMATS[format].pillow, **FORMATS[format].still_options, **metadata)
    return target.getvalue()


def cut(image: Image.Image, look: Look, has_alpha: bool) -> Image.Image:
    """A square image cut to its shape: RGBA, or RGB where it has a backdrop or needs none."""
    if look.shape == "square":
        return image
    mask = _mask(look.shape, image.width)
    if look.backdrop is None and has_alpha:
        image = image.copy()
        image.putalpha(mask)
        return image
    backdrop = Image.new("RGB", image.size, f"#{look.backdrop or WHITE}")
    backdrop.paste(image, mask=mask)
    return backdrop


def reduce_colours(image: Image.Image, palette: Image.Image | None = None) -> Image.Image:
    """At most 256 colours; pixels that are more than half transparent become transparent.

    palette: an image in mode P with the colours, which are chosen for this image where None.
    """
    opaque = image.convert("RGB").quantize(255, palette=palette, dither=Image.Dither.NONE)
    if image.mode == "RGBA":
        opaque.paste(255, mask=ImageChops.invert(image.getchannel("A")).point(_threshold))
        opaque.info["transparency"] = 255
    return opaque


def _threshold(value: int) -> int:
    return 255 if value > 127 else 0


@lru_cache(maxsize=32)
def _mask(shape: str, size: int) -> Image.Image:
    """Coverage of each pixel from its distance to the edge, which is smooth at any size."""
    half = size / 2
    radius = half if shape == "circle" else size * CORNER
    offset = np.abs(np.arange(size) + 0.5 - half) - (half - radius)
    x, y = np.meshgrid(offset, offset)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0)) - radius
    distance = np.where(np.maximum(x, y) > 0, outside, -radius)
    return Image.fromarray((np.clip(0.5 - distance, 0, 1) * 255).round().astype(np.uint8))
