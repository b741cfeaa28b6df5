"""Encodes the frames of a loop as an endless animation."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.avatars import interruption
from app.avatars.encode import png
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.still import Look, cut, reduce_colours
from app.avatars.formats import FORMATS
from models.bundle.generator import Pixels
from models.faces.resizing import resize

PALETTE_SIDE = 32  # pixels of each frame that choose the palette, along a side


def encode(pixels: Pixels, size: int, format: str, fps: float, look: Look, stamp: Stamp) -> bytes:
    """(N, S, S, 3) uint8 to the bytes of a file that repeats for ever; fps: 1 to 30."""

    palette = choose_palette(pixels) if format == "gif" else None

    # A generator, because 64 frames of 512 pixels at once would take 67 MB.
    def frames() -> Iterator[Image.Image]:
        for face in pixels:
            interruption.check()
            image = cut(resize(face, size), look, has_alpha=True)
            yield image if palette is None else reduce_colours(image, palette)

    images, milliseconds = frames(), round(1000 / fps)
    if format == "apng":
        arrays = (np.asarray(image) for image in images)
        return png.animate(arrays, len(pixels), milliseconds, [stamp.chunk()])
    target = io.BytesIO()
    next(images).save(
        target,
        FORMATS[format].pillow,
        save_all=True,
        append_images=images,
        duration=milliseconds,
        loop=0,
        **(FORMATS[format].loop_options or {}),
        **({"comment": stamp.comment()} if format == "gif" else {"xmp": stamp.xmp()}),
    )
    return target.getvalue()


def choose_palette(pixels: Pixels) -> Image.Image:
    """One palette of 255 colours for all frames (N, S, S, 3), as an image in mode P.

    A palette for each frame took 0.2 s a frame of 512 pixels, 13 s for the largest loop.
    """
    count, side, _, _ = pixels.shape
    step = max(1, side // PALETTE_SIDE)
    rows = np.ascontiguousarray(pixels[:, ::step, ::step]).reshape(count * -(-side // step), -1, 3)
    return Image.fromarray(rows).quantize(255, dither=Image.Dither.NONE)
