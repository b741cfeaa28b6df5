"""What says what a picture's numbers mean, beside an ICC profile of RGB; and blank first frames."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.datasets import colours, images
from models.datasets.images import read_square
from tests.models.datasets.test_everyday_pictures import (
    EXACT,
    NEAR,
    PROFILES,
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


def test_the_profile_of_colours_counts_for_a_grey_picture_too() -> None:
    """Editors leave the working space's profile in a picture that was turned grey."""
    profile = PROFILES["ProPhoto"]  # gamma 1.8
    image = power(GREY.convert("L"), 2.2 / 1.8)
    assert worst(encode(image, "JPEG", quality=95, icc_profile=profile), GREY) <= NEAR
    assert worst(encode(image, "JPEG", quality=95), GREY) > NEAR


@pytest.mark.parametrize("format", EXACT)
def test_a_linear_profile_that_is_called_srgb_is_converted(format: str) -> None:
    """GIMP's "GIMP built-in Linear sRGB", Krita's "sRGB-elle-V2-g10.icc"; darktable#4651."""
    profile = colours._profile(colours.PRIMARIES[1], 1.0)
    assert profile is not None
    profile = profile.replace(b"embedded\0", b"Lin sRGB\0")
    data = encode(in_profile(PLAIN, profile), format, icc_profile=profile, **EXACT[format])
    assert worst(data) <= NEAR


def bmp_with(profile: bytes) -> bytes:
    """A BMP with Windows' header V5 and an embedded profile after its pixels."""
    data = encode(in_profile(PLAIN, profile), "BMP")
    first, pixels = data[14:54], data[54:]
    colours_of_v5 = bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(pixels),
                                                              len(profile), 0)  # fmt: skip
    header = struct.pack("<I", 124) + first[4:] + colours_of_v5
    assert len(header) == 124
    start = b"BM" + struct.pack("<IHHI", 14 + 124 + len(pixels) + len(profile), 0, 0, 14 + 124)
    return start + header + pixels + profile


def gif_with(profile: bytes) -> bytes:
    """A GIF with a profile in an application extension, as ImageMagick writes it."""
    data = encode(in_profile(PLAIN, profile), "GIF")
    place = 13 + 3 * 2 ** ((data[10] & 7) + 1)  # after the table of colours
    parts = [profile[start : start + 255] for start in range(0, len(profile), 255)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    return data[:place] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[place:]


@pytest.mark.parametrize("write", [bmp_with, gif_with])
@pytest.mark.parametrize("name", PROFILES)
def test_profiles_that_pillow_passes_over_count(write: Callable[[bytes], bytes], name: str) -> None:
    """BITMAPV5HEADER, and ICC.1's annex on GIF."""
    data = write(PROFILES[name])
    assert worst(data) <= NEAR
    spoilt = data.replace(b"DEBM", b" niW").replace(b"ICCRGBG1012", b"ICCRGBG1013")
    assert worst(spoilt) > 2 * NEAR, "without it the colours are wrong: the row tests it"


def camera_exif(mark: bytes) -> bytes:
    """EXIF of a camera, with an interoperability index (DCF 2.0) and no colour profile."""
    interoperability = struct.pack("<HHHI4sI", 1, 1, 2, 4, mark, 0)
    exif = struct.pack("<HHHIHHHHIII", 2, 0xA001, 3, 1, 0xFFFF, 0, 0xA005, 4, 1, 56, 0)
    first = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + exif + interoperability


ADOBE_RGB = in_profile(PLAIN, PROFILES["Adobe RGB"])


@pytest.mark.parametrize(
    ("image", "mark"),
    [
        pytest.param(ADOBE_RGB, b"R03\0", id="Adobe RGB, Pillow#3270, guardian/grid#2066"),
        pytest.param(PLAIN, b"R98\0", id="sRGB"),
    ],
)
def test_a_cameras_mark_of_its_colours_counts(image: Image.Image, mark: bytes) -> None:
    options = {"quality": 95, "subsampling": 0, "exif": camera_exif(mark)}
    assert worst(encode(image, "JPEG", **options)) <= NEAR


def test_damaged_exif_with_a_cameras_mark_costs_no_picture() -> None:
    data = encode(
        PLAIN, "JPEG", quality=95, subsampling=0, exif=camera_exif(b"R03\0")[:40] + b"R03"
    )
    assert worst(data) <= NEAR


def press_profile() -> bytes:
    """An ICC profile for CMYK whose inks are weak: full ink of all four is a middle grey.

    A table of two points an ink (ICC.1:2010, lut8Type), of CIELAB in eight bits.
    """
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    ramp = bytes(range(256))
    corners = [[(n >> (3 - ink)) & 1 for ink in range(4)] for n in range(16)]
    table = b"".join(bytes([255 - 40 * sum(inks[:3]) - 20 * inks[3], 128, 128]) for inks in corners)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 6) + b"press\0" + bytes(78),
            b"cprt": b"text" + bytes(4) + b"press\0",
            b"wtpt": b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061),
            b"A2B0": lut, b"A2B1": lut}  # fmt: skip
    entries, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI", start + len(body), bytes(4), 0x02400000) + b"prtrCMYKLab "
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_a_press_profile_counts(format: str) -> None:
    """cgwire/zou#1188: without it the picture is far more saturated than in print."""
    inks = Image.new("CMYK", (SIDE, SIDE), (255, 255, 255, 0))
    level = int(read_square(encode(inks, format, icc_profile=press_profile()), 8).min())
    # L* = 100 * 135 / 255 = 52.9 is 126 of 255 in sRGB; without the profile it would be black.
    assert abs(level - 126) <= NEAR
    assert read_square(encode(inks, format), 8).max() < NEAR


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
