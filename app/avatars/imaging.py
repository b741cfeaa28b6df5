"""From a seed to the bytes of a picture."""

import io

from PIL import Image

from app.avatars.parameters import FORMATS, Asked
from models import latents
from models.bundle import Drawer, Pixels

# Part of every ETag: raise it whenever the same model and parameters give other bytes.
RENDERER = 1

_SAVE: dict[str, dict[str, int]] = {
    "png": {"compress_level": 6},
    "webp": {"quality": 90, "method": 4},
    # Subsampled colour would blur the thin dark lines.
    "jpeg": {"quality": 92, "subsampling": 0},
}


def picture(drawer: Drawer, asked: Asked) -> bytes:
    """Derive, draw, resize, encode: all that needs a processor, for one thread."""
    z = latents.derive(asked.seed, drawer.card.network.latent)
    (pixels,) = drawer.draw(z[None], asked.psi)
    return encode(resize(pixels, asked.size), asked.format)


def resize(pixels: Pixels, size: int) -> Image.Image:
    """(S, S, 3) uint8 to a square picture of `size`; the native size stays untouched."""
    image = Image.fromarray(pixels)
    if image.width == size:
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS)


def encode(image: Image.Image, format: str) -> bytes:
    """The file's bytes; the same for the same pixels, since no clock or name gets in."""
    target = io.BytesIO()
    image.save(target, FORMATS[format], **_SAVE[format])
    return target.getvalue()
