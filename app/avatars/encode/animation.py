"""Loops: frames to the bytes of a moving picture that never ends."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from app.avatars.encode import png
from app.avatars.encode.formats import FORMATS
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.still import Look, paletted, shaped
from models.bundle.generator import Pixels
from models.faces.resizing import resize

# Frames are made one by one while they are written: 64 of 512 pixels would be 67 MB.
_SAVE: dict[str, dict[str, Any]] = {
    "webp": {"quality": 80, "method": 2, "minimize_size": False},
    "gif": {"disposal": 2, "optimize": False},
}


def encode(pixels: Pixels, size: int, format: str, fps: float, look: Look, stamp: Stamp) -> bytes:
    """(N, S, S, 3) uint8 to a file's bytes, at most 100 frames a second; loops for ever."""

    def frames() -> Iterator[Image.Image]:
        for drawn in pixels:
            image = shaped(resize(drawn, size), look, alpha=True)
            yield paletted(image) if format == "gif" else image

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
        **_SAVE[format],
        **({"comment": stamp.comment()} if format == "gif" else {"xmp": stamp.xmp()}),
    )
    return target.getvalue()
