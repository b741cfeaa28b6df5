"""Our PNGs are what every reader of PNG reads."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from app.avatars.encode import png
from models.bundle.generator import Pixels


def _noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(_noise(1, 1), id="one-pixel"),
        pytest.param(_noise(64, 48), id="not-square"),
        pytest.param(np.zeros((128, 128, 3), np.uint8), id="black"),
        pytest.param(_noise(1024, 1024), id="larger-than-a-window-of-deflate"),
        pytest.param(_noise(64, 64)[::2, ::2], id="strided"),
    ],
)
def test_a_reader_gets_the_very_pixels(pixels: Pixels) -> None:
    image = Image.open(io.BytesIO(png.encode(pixels)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert np.array_equal(np.asarray(image), pixels)


def test_the_same_pixels_are_the_same_bytes() -> None:
    pixels = _noise(128, 128)
    assert png.encode(pixels) == png.encode(pixels.copy())


def test_further_chunks_are_read_and_change_no_pixel() -> None:
    pixels = _noise(16, 16)
    chunks = [(b"tEXt", b"Title\0Kao"), (b"sRGB", struct.pack(">B", 0))]
    image = Image.open(io.BytesIO(png.encode(pixels, chunks)))
    image.load()
    assert image.info["Title"] == "Kao"
    assert image.info["srgb"] == 0
    assert np.array_equal(np.asarray(image), pixels)


def test_a_flipped_byte_is_noticed() -> None:
    data = bytearray(png.encode(_noise(16, 16)))
    data[60] ^= 1
    with pytest.raises(Exception, match=r"(?i)crc|checksum|broken|bad"):
        Image.open(io.BytesIO(bytes(data))).load()
