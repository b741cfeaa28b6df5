"""Pictures as cameras, phones and programs write them: each looks like its plain sRGB twin.

The files are made here, each row after a public report of a program that got it wrong.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from models.datasets import images
from models.datasets.images import BrokenImage, check_header, is_image_name, read_square

NEAR = 8  # of 255: what a profile's or a codec's rounding may differ
SIDE = 32
Pixels = NDArray[np.uint8]
COLOURS = [(200, 60, 60), (60, 180, 80), (70, 90, 200), (240, 220, 200)]


def twin() -> Image.Image:
    """Four quarters of one colour each, in sRGB."""
    image = Image.new("RGB", (SIDE, SIDE))
    half = SIDE // 2
    for place, colour in enumerate(COLOURS):
        left, top = place % 2 * half, place // 2 * half
        image.paste(colour, (left, top, left + half, top + half))
    return image


EXACT: dict[str, dict[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},
}
# pi-heif only reads; these were written by pillow-heif (x265) from `twin`, 64 pixels a side.
HEIC = Path(__file__).parents[2] / "fixtures" / "heic"


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def matrix_profile(primaries: list[tuple[float, float]], gamma: float) -> bytes:
    """An ICC v2 RGB profile of these xy primaries and gamma, white D50 as ICC wants it."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.9642, 1.0, 0.8249])
    columns = (xyz * np.linalg.solve(xyz, white)).T

    def tag(kind: bytes, body: bytes) -> bytes:
        data = kind + bytes(4) + body
        return data + bytes(-len(data) % 4)

    def fixed_point(values: NDArray[np.float64]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = b"another space\0"
    description = tag(b"desc", struct.pack(">I", len(text)) + text + bytes(78))
    curve = tag(b"curv", struct.pack(">IH", 1, round(gamma * 256)))
    tags = {
        b"desc": description,
        b"wtpt": tag(b"XYZ ", fixed_point(white)),
        b"cprt": tag(b"text", text),
    }
    tags |= {
        name: tag(b"XYZ ", fixed_point(column))
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + fixed_point(white)
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body


# Adapted to D50: Display P3 (every iPhone), Adobe RGB (cameras), ProPhoto (raw developers).
PROFILES = {
    "Display P3": matrix_profile([(0.6947, 0.3053), (0.2918, 0.6682), (0.1572, 0.0660)], 2.2),
    "Adobe RGB": matrix_profile([(0.6484, 0.3309), (0.2302, 0.7016), (0.1559, 0.0660)], 2.2),
    "ProPhoto": matrix_profile([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], 1.8),
}


def in_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """The same colours as this sRGB picture, with the numbers of another colour space."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    source = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, intent)
    assert result is not None
    del result.info["icc_profile"]  # save() would write it without being told
    return result


def worst(data: bytes, expected: Image.Image | None = None) -> int:
    """The largest difference at the middle of the four quarters."""
    pixels = read_square(data, SIDE).astype(int)
    reference = np.asarray(expected or twin()).astype(int)
    middles = (slice(SIDE // 4, None, SIDE // 2), slice(SIDE // 4, None, SIDE // 2))
    return int(np.abs(pixels[middles] - reference[middles]).max())


@pytest.mark.parametrize("format", EXACT)
@pytest.mark.parametrize("name", PROFILES)
def test_a_colour_profile_is_converted(name: str, format: str) -> None:
    """photoprism/photoprism#1798, immich-app/immich#3658, BestImageViewer/geeqie#885."""
    profile = PROFILES[name]
    options = EXACT[format]
    data = encode(in_profile(twin(), profile), format, icc_profile=profile, **options)
    assert worst(data) <= NEAR
    unconverted_data = encode(in_profile(twin(), profile), format, **options)
    assert worst(unconverted_data) > 2 * NEAR, (
        "without the profile the colours are wrong: the row tests it"
    )


def test_a_profile_counts_beneath_transparency_too() -> None:
    profile = PROFILES["Display P3"]
    image = in_profile(twin(), profile)
    image.putalpha(Image.new("L", image.size, 255))
    assert worst(encode(image, "PNG", icc_profile=profile)) <= NEAR


@pytest.mark.parametrize("profile", [b"spoilt", PROFILES["Display P3"][:200]])
def test_a_spoilt_profile_is_ignored(profile: bytes) -> None:
    assert worst(encode(twin(), "PNG", icc_profile=profile)) == 0


def test_an_srgb_profile_moves_no_pixel() -> None:
    """Sets whose pictures carry one keep their fingerprints."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(twin(), "PNG", icc_profile=profile)
    assert (read_square(data, SIDE) == read_square(encode(twin(), "PNG"), SIDE)).all()


def grey_16_with_transparency() -> bytes:
    """The left half grey, the right half the transparent value; Pillow cannot write it."""
    rows = np.full((SIDE, SIDE), 30_000, ">u2")
    rows[:, SIDE // 2 :] = 1_000
    lines = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 0, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"tRNS", struct.pack(">H", 1_000)),
        (b"IDAT", zlib.compress(lines)),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in [*chunks, (b"IEND", b"")])


def test_sixteen_bit_grey_is_white_where_it_is_transparent() -> None:
    """Pillow#3744, #3379."""
    pixels = read_square(grey_16_with_transparency(), SIDE)
    assert (pixels[:, -4:] == 255).all()
    assert (pixels[:, :4] == round(30_000 / 257)).all()


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_two_megabytes_of_metadata_are_read_past(kind: str) -> None:
    """Pillow#8363, PixivUtil2#269: illustrators' programs write their history into the file."""
    options: dict[str, object] = {"icc_profile": bytes(2 << 20)}
    if kind == "text":
        info = PngImagePlugin.PngInfo()
        info.add_text("history", "x" * (2 << 20), zip=True)
        options = {"pnginfo": info}
    data = encode(twin(), "PNG", **options)
    check_header(data)
    assert worst(data) == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS",
                     id="a clone without Git LFS"),
        pytest.param(b"<!DOCTYPE html><title>403 Forbidden</title>", "page of the web",
                     id="a refused download, WildMeOrg/Wildbook#1609"),
        pytest.param(b"\n <html><body>Sign in", "page of the web", id="white space before it"),
        pytest.param(b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML, not a picture",
                     id="a bucket's refusal"),
        pytest.param(b"\n\x89PNG\r\n\x1a\n" + bytes(9), "not a picture in", id="a line before PNG"),
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(bytes(5000), "null bytes", id="of a disk that was full"),
        pytest.param(b"\xff\x0a" + bytes(60), "JPEG XL, not a picture", id="JPEG XL as .png"),
        pytest.param(b"\0\0\0\x18ftypmp42" + bytes(60), "a film", id="a film as .jpg"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(9), "damaged JPEG", id="a header alone"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(9), "damaged PNG", id="a header alone, PNG"),
    ],
)  # fmt: skip
def test_what_stands_where_a_picture_should_be_is_named(data: bytes, reason: str) -> None:
    for source in (data, io.BytesIO(data)):
        with pytest.raises(BrokenImage, match=reason):
            read_square(source, SIDE)


def test_more_metadata_than_is_read_is_named_without_pillows_settings() -> None:
    data = encode(twin(), "PNG", icc_profile=bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))
    with pytest.raises(BrokenImage, match="too much text beside the pixels"):
        check_header(data)


def test_a_photograph_of_48_megapixels_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """mattermost#2365: phones take 24 to 50 megapixels. Read reduced, so never all in memory."""
    data = encode(twin().resize((6_000, 8_000)), "JPEG", quality=60)
    check_header(data)
    assert worst(data) <= NEAR
    monkeypatch.setattr(images, "MAX_JPEG_PIXELS", 40_000_000)
    with pytest.raises(BrokenImage, match="more than 40,000,000 pixels"):
        read_square(data, SIDE)


def half_clear() -> Image.Image:
    """The twin, its left half transparent and black."""
    image = twin().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    return image


def on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def lab(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab_image = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    assert lab_image is not None
    return lab_image


def deep(image: Image.Image, scale: float, kind: str) -> Image.Image:
    return Image.fromarray((np.asarray(image.convert("L"), float) * scale).round(6).astype(kind))


CLEAR, PLAIN = half_clear(), twin()
INDEXED = CLEAR.quantize(16, Image.Quantize.FASTOCTREE)


GREY_CLEAR = CLEAR.convert("LA")
MODES = [
    ("RGBA PNG, kohya-ss/sd-scripts#1269", CLEAR, "PNG", on_white(CLEAR)),
    ("RGBA WebP, kohya-ss/sd-scripts#1269", CLEAR, "WEBP", on_white(CLEAR)),
    ("RGBA AVIF, kohya-ss/sd-scripts#1269", CLEAR, "AVIF", on_white(CLEAR)),
    ("RGBA TIFF, TIFF 6.0 section 18", CLEAR, "TIFF", on_white(CLEAR)),
    ("LA PNG, NVIDIA/DIGITS#85", GREY_CLEAR, "PNG", on_white(GREY_CLEAR.convert("RGBA"))),
    ("LA TIFF, TIFF 6.0 section 18", GREY_CLEAR, "TIFF", on_white(GREY_CLEAR.convert("RGBA"))),
    ("palette PNG, Pillow#9281", INDEXED, "PNG", on_white(INDEXED.convert("RGBA"))),
    ("palette GIF, layumi/University1652-Baseline#17", CLEAR, "GIF", on_white(CLEAR)),
    ("grey JPEG, bmaltais/kohya_ss#454", PLAIN.convert("L"), "JPEG", grey(PLAIN)),
    ("grey BMP, bmaltais/kohya_ss#454", PLAIN.convert("L"), "BMP", grey(PLAIN)),
    ("CMYK JPEG, lovell/sharp#1649", PLAIN.convert("CMYK"), "JPEG", PLAIN),
    ("CMYK TIFF, ImageMagick#6094, darktable#3560", PLAIN.convert("CMYK"), "TIFF", PLAIN),
    ("YCbCr TIFF, TIFF 6.0 section 21", PLAIN.convert("YCbCr"), "TIFF", PLAIN),
    ("CIELAB TIFF, TIFF 6.0 section 23", lab(PLAIN), "TIFF", PLAIN),
    ("16-bit PNG, Pillow#5991", deep(PLAIN, 257, "u2"), "PNG", grey(PLAIN)),
    ("16-bit TIFF, Pillow#1108", deep(PLAIN, 257, "u2"), "TIFF", grey(PLAIN)),
    ("32-bit TIFF, Pillow#274", deep(PLAIN, 257, "i4"), "TIFF", grey(PLAIN)),
    ("float TIFF, Pillow#7333", deep(PLAIN, 1 / 255, "f4"), "TIFF", grey(PLAIN)),
    ("float TIFF up to 255, Pillow#7333", deep(PLAIN, 1, "f4"), "TIFF", grey(PLAIN)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("image", "format", "expected"), [pytest.param(*row, id=name) for name, *row in MODES]
)
def test_every_mode_of_every_format_looks_as_in_a_viewer(
    image: Image.Image, format: str, expected: Image.Image
) -> None:
    data = encode(image, format, **EXACT.get(format, {}))
    check_header(data)
    assert worst(data, expected) <= NEAR


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("plain", PLAIN, id="caezium/burrow#283"),
        pytest.param("display-p3", PLAIN, id="an iPhone's profile, immich-app/immich#3658"),
        pytest.param("turned", PLAIN, id="irot and EXIF at once, strukturag/libheif#227"),
        pytest.param("clear", on_white(CLEAR), id="an alpha plane, ISO 23008-12"),
    ],
)
def test_a_phones_heic_is_read(name: str, expected: Image.Image) -> None:
    data = (HEIC / f"{name}.heic").read_bytes()
    check_header(data)
    assert worst(data, expected) <= NEAR


def test_a_heic_is_measured_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_HEIF_PIXELS", 1_000)
    with pytest.raises(BrokenImage, match="more than 1,000 pixels"):
        check_header((HEIC / "plain.heic").read_bytes())


def test_a_film_behind_a_photograph_and_a_thumbnail_within_do_not_matter() -> None:
    """Motion photographs: upscayl/upscayl#983. The film may hold a JPEG's markers by chance."""
    thumbnail = b"\xff\xe1" + struct.pack(">H", 8) + b"\xff\xda\xff\xd9\0\0"
    photograph = encode(twin(), "JPEG", quality=95, subsampling=0)
    whole = photograph[:2] + thumbnail + photograph[2:]
    assert worst(whole + b"ftypmp42\xff\xda" * 9) <= NEAR
    with pytest.raises(BrokenImage, match="breaks off"):
        check_header(whole[:-2])


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


@pytest.mark.parametrize("read", [check_header, lambda data: read_square(data, SIDE)])
def test_a_jpeg_cut_short_is_broken_for_upload_and_training_alike(
    read: Callable[[bytes], object],
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    with pytest.raises(BrokenImage, match="breaks off"):
        read(cut(encode(Image.fromarray(noise), "JPEG")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", EXACT)
def test_a_rotated_photograph_stands_upright(format: str, orientation: int) -> None:
    """kohya-ss/sd-scripts#1316, hydrusnetwork/hydrus#1442."""
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    image = twin()
    for method in turns.get(orientation, []):
        image = image.transpose(Image.Transpose(method))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = EXACT[format]
    assert worst(encode(image, format, exif=exif, **options)) <= 2 * NEAR


@pytest.mark.parametrize(
    ("name", "is_picture"),
    [
        pytest.param("a/b.JPE", True, id="an old extension"),
        pytest.param(".hidden/a.png", False, id="hidden folder"),
        pytest.param("a/.ipynb_checkpoints/b.png", False, id="pytorch/vision#2831"),
        pytest.param("@eaDir/a.png", False, id="Synology's thumbnails, SimpleTuner#94"),
        pytest.param("#recycle/a.png", False, id="Synology's trash"),
        pytest.param(".Trash-1000/files/a.png", False, id="Linux's trash"),
        pytest.param("$RECYCLE.BIN/a.png", False, id="Windows' trash"),
        pytest.param("a.HEIC", True, id="a phone's format, caezium/burrow#283"),
        pytest.param("a.jxl", False, id="JPEG XL"),
        pytest.param("my.photos/a.png", True, id="a dot within"),
    ],
)
def test_what_systems_leave_beside_pictures_is_none(name: str, is_picture: bool) -> None:
    assert is_image_name(name) is is_picture
