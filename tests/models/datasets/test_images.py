"""Any picture becomes an upright square; anything else is refused with a reason."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from models.datasets.images import FORMATS, BrokenImage, is_image_name, read_square

RED, GREEN, BLUE = (220, 30, 40), (20, 200, 60), (30, 60, 230)


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """Save an image into bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def near(pixel: Any, colour: tuple[int, int, int], by: int = 12) -> bool:
    return bool(np.abs(np.asarray(pixel, dtype=int) - colour).max() <= by)


def thirds(width: int, height: int, horizontal: bool = True) -> Image.Image:
    """Draw red, green and blue thirds, side by side or one over the other."""
    image = Image.new("RGB", (width, height), GREEN)
    w, h = (width // 3, height) if horizontal else (width, height // 3)
    image.paste(RED, (0, 0, w, h))
    image.paste(BLUE, (width - w, height - h, width, height))
    return image


@pytest.mark.parametrize("format", [each for each in FORMATS if each != "HEIF"])
def test_every_format_of_the_allow_list_is_read(format: str) -> None:
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    pixels = read_square(encode(Image.new("RGB", (40, 30), RED), format), 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert near(pixels[8, 8], RED)


@pytest.mark.parametrize("size", [8, 64, 96])
@pytest.mark.parametrize(
    ("width", "height"), [(8, 8), (300, 100), (100, 300), (2000, 1400), (5000, 3200)]
)
def test_any_shape_gives_a_square_of_the_requested_size(width: int, height: int, size: int) -> None:
    assert read_square(encode(Image.new("RGB", (width, height))), size).shape == (size, size, 3)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(thirds(300, 100), id="wide"),
        pytest.param(thirds(100, 300, horizontal=False), id="tall"),
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_the_centre_is_kept(picture: Image.Image, format: str) -> None:
    pixels = read_square(encode(picture, format), 32)
    # Both outer thirds are cropped away; JPEG's chroma bleeds a pixel at the edge.
    assert all(near(pixels[y, x], GREEN, 16) for y in (3, 16, 28) for x in (3, 16, 28))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(Image.new("L", (20, 20), 77), (77, 77, 77), id="grey"),
        pytest.param(Image.new("1", (20, 20), 1), (255, 255, 255), id="one-bit"),
        pytest.param(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), (255, 255, 255), id="clear"),
        pytest.param(Image.new("RGBA", (20, 20), (0, 0, 0, 51)), (204, 204, 204), id="faint"),
        pytest.param(Image.new("LA", (20, 20), (0, 0)), (255, 255, 255), id="grey-alpha"),
        pytest.param(Image.new("RGB", (20, 20), RED).quantize(4), RED, id="palette"),
        pytest.param(
            Image.fromarray(np.full((20, 20), 257 * 100, np.uint16)), (100, 100, 100), id="16-bit"
        ),
    ],
)
def test_every_mode_becomes_rgb_over_white(
    image: Image.Image, expected: tuple[int, int, int]
) -> None:
    assert near(read_square(encode(image), 16)[8, 8], expected, 2)


def test_cmyk_becomes_rgb() -> None:
    picture = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    assert near(read_square(encode(picture, "JPEG"), 16)[8, 8], (255, 0, 0), 40)


def test_a_transparent_palette_lies_over_white() -> None:
    picture = Image.new("P", (20, 20), 0)
    picture.putpalette([0, 0, 0] * 256)
    assert near(read_square(encode(picture, "GIF", transparency=0), 16)[8, 8], (255, 255, 255))


def test_exif_orientation_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise: the left edge is the top
    sideways = Image.new("RGB", (64, 64), GREEN)
    sideways.paste(RED, (0, 0, 32, 64))
    pixels = read_square(encode(sideways, "JPEG", exif=exif, quality=95), 32)
    assert near(pixels[4, 16], RED)
    assert near(pixels[28, 16], GREEN)


def test_a_file_that_the_system_refuses_is_named_without_its_place(tmp_path: Path) -> None:
    """Each of a thousand pictures whose disk went away had a reason of its own."""
    with pytest.raises(BrokenImage) as caught:
        read_square(tmp_path / "gone.png", 8)
    assert caught.value.reason == "cannot be read: No such file or directory"


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bitmap_of_windows_without_alpha_is_opaque(alpha: int) -> None:
    """32 bits a pixel and a header of version 5, whose fourth byte Windows leaves 0."""
    pixels = bytes([30, 60, 200, alpha]) * (8 * 8)  # blue, green, red
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII4I", 124, 8, 8, 1, 32, 3, len(pixels), 0, 0, 0, 0, *masks)
    info = info.ljust(124, b"\0")
    data = b"BM" + struct.pack("<IHHI", 138 + len(pixels), 0, 0, 138) + info + pixels
    assert (read_square(data, 8) == (200, 60, 30)).all()


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, BLUE)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(read_square(data, 16)[8, 8], RED)


def test_reducing_averages_rather_than_drops_pixels() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert near(read_square(encode(Image.fromarray(stripes)), 16)[8, 8], (127, 127, 127))


def test_a_path_and_a_file_read_like_bytes(tmp_path: Path) -> None:
    data = encode(thirds(60, 60))
    (tmp_path / "a.png").write_bytes(data)
    expected = read_square(data, 16)
    assert (read_square(tmp_path / "a.png", 16) == expected).all()
    assert (read_square(io.BytesIO(data), 16) == expected).all()


def png_of(width: int, height: int) -> bytes:
    """Write a PNG whose header promises a size and which holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BROKEN: list[Any] = [
    pytest.param(lambda: b"", "format", id="empty"),
    pytest.param(lambda: b"#!/bin/sh\nrm -rf /\n", "format", id="script"),
    pytest.param(lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format", id="svg"),
    pytest.param(lambda: encode(Image.new("RGB", (20, 20)), "TIFF")[:90], "decoded", id="cut-tiff"),
    pytest.param(lambda: encode(Image.new("RGB", (20, 20)), "EPS"), "format", id="postscript"),
    pytest.param(lambda: encode(thirds(90, 90))[:120], "decoded", id="truncated-png"),
    pytest.param(lambda: encode(thirds(90, 90), "JPEG")[:700], "decoded", id="truncated-jpeg"),
    pytest.param(lambda: png_of(4001, 4000), "16,000,000", id="above-16-megapixels"),
    pytest.param(lambda: png_of(60_000, 60_000), "pixels", id="bomb"),
    pytest.param(lambda: png_of(10_000, 9_500), "pixels", id="pillow-warns"),
    pytest.param(lambda: encode(Image.new("RGB", (7, 900))), "fewer than 8", id="sliver"),
]


@pytest.mark.parametrize(("data", "reason"), BROKEN)
def test_what_cannot_be_used_says_why(data: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(BrokenImage, match=reason) as error:
        read_square(data(), 16)
    assert str(error.value) == error.value.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", True),
        ("deep/er/B.JPEG", True),
        ("a.avif", True),
        ("a.svg", False),
        ("a.tiff", True),
        ("png", False),
        ("__MACOSX/a.png", False),
        ("x/._a.png", False),
        (".DS_Store", False),
        ("Thumbs.db", False),
    ],
)
def test_pictures_are_recognised_by_name(name: str, expected: bool) -> None:
    assert is_image_name(name) is expected
