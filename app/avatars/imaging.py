"""From a seed to the bytes of a picture."""

import io

from PIL import Image

from app.avatars.parameters import FORMATS, NAMES, Asked
from app.errors import UnknownExtension
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
    return encode(pixels, asked.size, asked.format)


def encode(pixels: Pixels, size: int, format: str) -> bytes:
    """(S, S, 3) uint8 to a file's bytes; the same for the same pixels, as no clock gets in."""
    target = io.BytesIO()
    resize(pixels, size).save(target, FORMATS[format], **_SAVE[format])
    return target.getvalue()


def resize(pixels: Pixels, size: int) -> Image.Image:
    """A square picture of `size`; the native size stays untouched."""
    image = Image.fromarray(pixels)
    if image.width == size:
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS)


def format_of(extension: str) -> str:
    """The format of `png`, `.JPG` and the like. Raises UnknownExtension."""
    name = extension.lower().removeprefix(".")
    if name not in NAMES:
        raise UnknownExtension(
            f"There is no picture format {extension[:20]!r}; use .png, .webp or .jpg."
        )
    return NAMES[name]
