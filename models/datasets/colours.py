"""Converts a decoded picture to sRGB.

Files declare their colour space by an ICC profile. PNG also has `cICP`, which takes precedence,
and without a profile `sRGB`, or `cHRM` and `gAMA` (PNG specification, third edition, 4.3). AVIF and
HEIC without a profile have an `nclx` box. `cICP` and `nclx` hold code points of ITU-T H.273.
"""

import contextlib
import io
import struct
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.createProfile("LAB")
GREY_MODES = ("L", "LA", "La", "1")
# xy of red, green, blue and white by H.273's numbers (table 2).
D65, DCI = (0.3127, 0.329), (0.314, 0.351)
PRIMARIES = {
    1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), D65),
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), D65),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), D65),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), DCI),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65),
}
# Exponents by H.273's numbers (table 3). 0 is sRGB's curve, which also stands for those of video.
SRGB_CURVE = 0.0
TRANSFERS = {1: SRGB_CURVE, 4: 2.2, 5: 2.8, 6: SRGB_CURVE, 8: 1.0, 13: SRGB_CURVE,
             14: SRGB_CURVE, 15: SRGB_CURVE}  # fmt: skip
NEAR_GAMMA, NEAR_PRIMARY = 0.02, 0.005  # differences from sRGB's that are writers' rounding
GAMMAS = (0.2, 1.5)  # plausible ones; any other is a writer's error and is ignored
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
HEADER_BYTES = 1 << 16  # of a file, within which its colours are described
BMP_HEADER, BMP_V5 = 14, 124  # where it begins and its length, in bytes
GIF_PROFILE = b"\x21\xff\x0bICCRGBG1012"
MOST_PROFILE = 4 << 20  # bytes that are read
# DCF 2.0 (JEITA CP-3461): cameras mark Adobe RGB in the EXIF data and embed no profile.
INTEROPERABILITY, ADOBE_RGB_MARK = 0xA005, "R03"
ADOBE_RGB, ADOBE_GAMMA = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65), 563 / 256
MOST_CACHED = 1 << 20  # bytes of a profile; those of printers have half of it
NEAR_SRGB = 8  # levels of 255 by which a profile that is called sRGB may differ from it

Chromaticity = tuple[float, float]
Primaries = tuple[Chromaticity, Chromaticity, Chromaticity, Chromaticity]


def embedded_profile(image: Image.Image) -> bytes | None:
    """The colour space that a picture declares, as an ICC profile; None for sRGB."""
    icc: bytes | None = image.info.get("icc_profile")
    if image.format == "PNG":
        return _of_png(image, icc)
    if icc is None and image.format in ("BMP", "GIF"):  # Pillow reads no profile of theirs
        return _of_bmp(image) if image.format == "BMP" else _of_gif(image)
    if icc or image.format not in ("AVIF", "HEIF"):
        return icc or _of_camera(image)
    start = _first_bytes(image)
    offset = start.find(b"colrnclx") + 8
    if offset < 8 or offset + 4 > len(start):
        return None
    return _profile_by_codes(*struct.unpack_from(">HH", start, offset))


def _of_png(image: Image.Image, icc: bytes | None) -> bytes | None:
    start = _first_bytes(image)
    offset = start.find(b"\0\0\0\x04cICP") + 8
    if offset >= 8:
        return _profile_by_codes(*start[offset : offset + 2])
    if icc or "srgb" in image.info:
        return icc
    gamma, numbers = image.info.get("gamma"), image.info.get("chromaticity")
    if gamma is not None and not GAMMAS[0] < gamma < GAMMAS[1]:
        gamma = None
    if gamma is None and numbers is None:
        return None
    primaries = PRIMARIES[1]
    if numbers is not None and len(numbers) == 8 and min(numbers) > 0:
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        primaries = (red, green, blue, white)
    exponent = SRGB_CURVE if gamma is None or abs(gamma - 1 / 2.2) < NEAR_GAMMA else 1 / gamma
    return _profile(primaries, exponent)


def _of_bmp(image: Image.Image) -> bytes | None:
    """The profile within a BMP with Windows' header V5 (BITMAPV5HEADER)."""
    header = _bytes_at(image, BMP_HEADER, BMP_V5)
    if len(header) < BMP_V5 or int.from_bytes(header[:4], "little") != BMP_V5:
        return None
    space, offset, size = header[56:60], *struct.unpack_from("<II", header, 112)
    is_embedded = space == b"DEBM" and size <= MOST_PROFILE
    return _bytes_at(image, BMP_HEADER + offset, size) if is_embedded else None


def _of_gif(image: Image.Image) -> bytes | None:
    """The profile within a GIF's application extension `ICCRGBG1012` (ICC.1)."""
    start = _first_bytes(image)
    place = start.find(GIF_PROFILE) + len(GIF_PROFILE)
    if place < len(GIF_PROFILE):
        return None
    blocks = []
    while place < len(start) and (length := start[place]):
        blocks.append(start[place + 1 : place + 1 + length])
        place += 1 + length
    return b"".join(blocks)


def _of_camera(image: Image.Image) -> bytes | None:
    """Adobe RGB where the EXIF data names it; None for sRGB."""
    data: bytes = image.info.get("exif", b"")
    if ADOBE_RGB_MARK.encode() not in data:
        return None
    exif = Image.Exif()  # of its own: reading on would change what orientation is read from
    # Damaged EXIF raises errors of many types; the picture is read without it.
    with contextlib.suppress(Exception):
        exif.load(data)
        if exif.get_ifd(INTEROPERABILITY).get(1) == ADOBE_RGB_MARK:
            return _profile(ADOBE_RGB, ADOBE_GAMMA)
    return None


def _first_bytes(image: Image.Image) -> bytes:
    """The first bytes of the file."""
    return _bytes_at(image, 0, HEADER_BYTES)


def _bytes_at(image: Image.Image, place: int, size: int) -> bytes:
    """Bytes of the file, which Pillow reads on from where it was."""
    file: BinaryIO | None = getattr(image, "fp", None)
    if file is None:
        return b""
    offset = file.tell()
    file.seek(place)
    content = file.read(size)
    file.seek(offset)
    return content


def _profile_by_codes(primaries: int, transfer: int) -> bytes | None:
    """A profile by H.273's numbers; None for sRGB, the unspecified and HDR."""
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    return _profile(PRIMARIES[primaries], TRANSFERS[transfer])


def _profile(primaries: Primaries, exponent: float) -> bytes | None:
    """An ICC profile (version 2) of these primaries and this curve; None where that is sRGB."""
    difference = np.abs(np.array(primaries) - np.array(PRIMARIES[1])).max()
    if exponent == SRGB_CURVE and difference < NEAR_PRIMARY:
        return None
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = xyz[:, 3]
    columns = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    cones = BRADFORD @ D50 / (BRADFORD @ white)
    columns = np.linalg.inv(BRADFORD) @ (cones[:, None] * (BRADFORD @ columns))
    text = b"embedded\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
        b"wtpt": _xyz(D50),
        **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns.T), strict=True)),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(exponent)),
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI", start + len(body), bytes(4), 0x02400000) + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + _xyz(D50)[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(each * 65536)) for each in values)


def _curve(exponent: float) -> bytes:
    if exponent != SRGB_CURVE:
        return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))
    x = np.linspace(0, 1, 1024)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv" + struct.pack(">II", 0, 1024) + (linear * 65535).round().astype(">u2").tobytes()


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB, as browsers show a picture with an embedded colour profile.

    A profile that LittleCMS cannot read, or that is not for this kind of picture, is ignored.
    """
    if profile:
        build = _transform if len(profile) <= MOST_CACHED else _transform.__wrapped__
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            mode, transform = build(profile, image.mode)
            if transform is not None:
                image = image if image.mode == mode else image.convert(mode)
                return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(16)  # building one takes 2 ms, and a set's pictures have few profiles
def _transform(profile: bytes, mode: str) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The mode that a profile is for, and the way from there to sRGB; None where that is none.

    Raises PyCMSError, OSError, ValueError and TypeError for a profile of no use.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    is_grey = source.profile.xcolor_space.strip() == "GRAY"
    if mode not in ("RGB", "CMYK"):
        mode = "L" if is_grey else "RGB"
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, SRGB, mode, "RGB", intent)
    is_called_srgb = mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source)
    return mode, None if is_called_srgb and _is_identity(transform) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours stay as they are; "sRGB" in a profile's name may mean its primaries alone."""
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(36, 6, 3)
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return int(np.abs(converted.astype(np.int16) - cube).max()) <= NEAR_SRGB


def deep_to_srgb(levels: NDArray[np.float32], profile: bytes | None) -> NDArray[np.float32]:
    """Convert grey levels (H, W), 0 to 255 with fractions, by a profile for eight bits."""
    if not profile:
        return levels
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(to_srgb(ramp, profile), np.float32)[0, :, 1]
    return np.interp(levels, np.arange(256), table).astype(np.float32)


def from_lab(image: Image.Image) -> Image.Image | None:
    """CIELAB, as image editors write it into TIFF, in sRGB."""
    return ImageCms.profileToProfile(image, LAB, SRGB, outputMode="RGB")
