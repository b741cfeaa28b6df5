"""Encodes the frames of a loop as an endless animation."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.avatars.encode import png
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.still import Look, cut, reduce_colours
from app.avatars.formats import FORMATS
from models.bundle.generator import Pixels
from models.faces.resizing import resize


def encode(pixels: Pixels, size: int, format: str, fps: float, look: Look, stamp: Stamp) -> bytes:
    """(N, S, S, 3) uint8 to the bytes of a file that repeats for ever; fps: 1 to 30."""

    # A generator, because 64 frames of 512 pixels at once would take 67 MB.
    def frames() -> Iterator[Image.Image]:
        for face in pixels:
            image = cut(resize(face, size), look, has_alpha=True)
            yield reduce_colours(image) if format == "gif" else image

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
