"""What says what a picture's numbers mean, beside an ICC profile of RGB; and blank first frames."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.datasets import colours, images
from models.datasets.images import read_square
from tests.models.datasets.test_everyday_pictures import (
    NEAR,
    SIDE,
    encode,
    grey,
    in_profile,
    twin,
    worst,
)

PLAIN = twin()
GREY = grey(PLAIN)


def chromaticities(*numbers: float) -> bytes:
    return struct.pack(">8I", *(round(1e5 * number) for number in (*colours.D65, *numbers)))


P3 = chromaticities(0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB = chromaticities(0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def display_p3() -> Image.Image:
    """The twin's colours in the numbers of Display P3."""
    profile = colours._profile(colours.PRIMARIES[12], colours.SRGB_CURVE)
    assert profile is not None
    return in_profile(PLAIN, profile)


def power(image: Image.Image, exponent: float, white: int = 255, kind: str = "u1") -> Image.Image:
    levels = (np.asarray(image, float) / 255) ** exponent * white
    return Image.fromarray(levels.round().astype(kind))


def png(image: Image.Image, **chunks: bytes) -> bytes:
    """A PNG with these chunks after its header."""
    data = encode(image, "PNG")
    extra = b"".join(
        struct.pack(">I", len(body)) + name.encode() + body
        + struct.pack(">I", zlib.crc32(name.encode() + body))
        for name, body in chunks.items()
    )  # fmt: skip
    return data[:33] + extra + data[33:]


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(1e5 * value))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(power(PLAIN, 2.2), gAMA=gamma(1)), id="linear, of a renderer"),
        pytest.param(png(power(PLAIN, 2.2 / 1.8), gAMA=gamma(1 / 1.8)), id="an old Macintosh"),
        pytest.param(png(display_p3(), gAMA=gamma(0.45455), cHRM=P3), id="cHRM of P3"),
        pytest.param(png(display_p3(), cICP=bytes([12, 13, 0, 1])), id="cICP of P3"),
        pytest.param(png(display_p3(), cICP=bytes([12, 13, 0, 1]), sRGB=b"\0"), id="cICP first"),
        pytest.param(png(PLAIN, gAMA=gamma(0.45455), cHRM=SRGB), id="gAMA and cHRM of sRGB"),
        pytest.param(png(PLAIN, gAMA=gamma(1), sRGB=b"\0"), id="sRGB before gAMA"),
        pytest.param(png(PLAIN, gAMA=gamma(2.2)), id="gAMA upside down"),
        pytest.param(png(PLAIN, gAMA=gamma(0)), id="gAMA of nothing"),
        pytest.param(png(PLAIN, cHRM=bytes(32)), id="cHRM of nothing"),
        pytest.param(png(PLAIN, cICP=bytes([2, 2, 0, 1])), id="cICP that says nothing"),
    ],
)
def test_a_pngs_own_words_for_its_colours_count(data: bytes) -> None:
    """PNG specification 4.3: cICP, iCCP, sRGB, then cHRM and gAMA."""
    assert worst(data) <= NEAR


def test_what_is_nearly_srgb_moves_no_pixel() -> None:
    """Sets whose pictures say so keep their fingerprints."""
    data = png(PLAIN, gAMA=gamma(0.45455), cHRM=SRGB)
    assert (read_square(data, SIDE) == read_square(encode(PLAIN, "PNG"), SIDE)).all()


def test_an_avifs_nclx_box_counts() -> None:
    data = encode(display_p3(), "AVIF", quality=95)
    place = data.find(b"colrnclx") + 8
    assert place >= 8
    assert worst(data[:place] + b"\0\x0c" + data[place + 2 :]) <= NEAR
    assert worst(data) > 2 * NEAR, "without it the colours are wrong: the row tests it"


def grey_profile() -> bytes:
    """An ICC profile of linear grey."""
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    text = b"grey\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
        b"wtpt": white,
        b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, 256),
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI", start + len(body), bytes(4), 0x02400000) + b"mntrGRAYXYZ "
    header += bytes(12) + b"acsp" + bytes(28) + white[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


LINEAR = power(GREY.convert("L"), 2.2)


@pytest.mark.parametrize(
    ("image", "format"),
    [
        pytest.param(LINEAR, "PNG", id="grey PNG"),
        pytest.param(LINEAR, "JPEG", id="grey JPEG"),
        pytest.param(LINEAR, "TIFF", id="grey TIFF"),
        pytest.param(LINEAR.convert("LA"), "PNG", id="grey with transparency"),
        pytest.param(power(GREY.convert("L"), 2.2, 65535, "u2"), "PNG", id="16-bit grey PNG"),
        pytest.param(power(GREY.convert("L"), 2.2, 65535, "u2"), "TIFF", id="16-bit grey TIFF"),
    ],
)
def test_a_profile_of_grey_counts(image: Image.Image, format: str) -> None:
    assert worst(encode(image, format, icc_profile=grey_profile()), GREY) <= NEAR


def test_a_palettes_profile_counts() -> None:
    profile = colours._profile(colours.PRIMARIES[12], colours.SRGB_CURVE)
    assert worst(encode(display_p3().quantize(16), "PNG", icc_profile=profile)) <= NEAR


LEVELS = np.asarray(GREY.convert("L"))
INFINITE = np.where(np.arange(SIDE) < 1, np.inf, LEVELS / 255).astype("f4")


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param(LEVELS.astype("f4") * 257, id="float up to 65535"),
        pytest.param(LEVELS.astype("f4") / 240, id="float a little above 1"),
        pytest.param(INFINITE, id="infinite"),
        pytest.param((LEVELS.astype("i4")), id="32 bits up to 255"),
    ],
)
def test_deep_grey_of_any_range_is_seen(levels: NDArray[np.generic]) -> None:
    assert worst(encode(Image.fromarray(levels), "TIFF"), GREY) <= 2 * NEAR


def test_a_deep_tiff_whose_white_is_zero_is_no_negative() -> None:
    data = encode(Image.fromarray((65535 - LEVELS.astype("u2") * 257).astype("u2")), "TIFF")
    place = data.find(struct.pack("<HHI", 262, 3, 1)) + 8
    assert worst(data[:place] + bytes(2) + data[place + 2 :], GREY) <= NEAR


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("colour", [(0, 0, 0, 0), "white", "black"])
def test_a_blank_first_frame_is_skipped(format: str, colour: str | tuple[int, ...]) -> None:
    blank = Image.new("RGBA", PLAIN.size, colour)
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    frames = [blank, PLAIN.convert("RGBA"), Image.new("RGBA", PLAIN.size, "red")]
    data = encode(blank, format, save_all=True, append_images=frames, **options)
    assert worst(data) <= NEAR


def test_an_animation_of_blanks_is_its_first_frame() -> None:
    blanks = [Image.new("RGB", PLAIN.size, (n, 0, 0)) for n in (10, 200, 90)]
    file = io.BytesIO()
    blanks[0].save(file, "PNG", save_all=True, append_images=blanks[1:])
    assert (read_square(file.getvalue(), SIDE) == (10, 0, 0)).all()


def test_a_large_animation_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight frames of 16 megapixels took a gigabyte."""
    monkeypatch.setattr(images, "MAX_ANIMATION", SIDE * SIDE - 1)
    blank = Image.new("RGB", PLAIN.size, "white")
    data = encode(blank, "PNG", save_all=True, append_images=[PLAIN])
    assert (read_square(data, SIDE) == 255).all()
