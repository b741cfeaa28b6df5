"""Reads an uploaded picture as a square of pixels.

Files are untrusted: formats come from an allow-list, and the size is checked before decoding.
"""

import contextlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from models.datasets import avif, colours, stand_ins
from models.errors import DatasetError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "TIFF")
FORMAT_NAMES = "PNG, JPEG, WebP, GIF, BMP, AVIF, HEIC or TIFF"
EXTENSIONS = frozenset(
    {
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".jpg_large",
        ".mpo", ".webp", ".gif", ".bmp", ".dib", ".avif", ".avifs", ".heic", ".heif", ".hif",
        ".tif", ".tiff",
    }
)  # fmt: skip
MAX_PIXELS = 16_000_000  # decoded
# Phones of 24 megapixels write HEIC, which has no reduced size. It takes 12 bytes a pixel.
MAX_HEIF_PIXELS = 26_000_000
# A JPEG decodes at a half, quarter or eighth of its size, so a phone's 50 megapixels are read.
MAX_JPEG_PIXELS = 64_000_000
MIN_SIDE = 8  # pixels; below it there is no face to learn
# What systems and programs put beside pictures: litter, thumbnails, deleted pictures.
HIDDEN = frozenset(
    {
        "__macosx", "thumbs.db", "desktop.ini", "@eadir", "#recycle", "@recycle", "$recycle.bin",
        "lost+found", "system volume information", "icon\r",
    }
)  # fmt: skip
ANIMATION_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
# Pixels of a frame: seeking takes some 60 bytes a pixel, as Pillow keeps frames to compose them.
MAX_ANIMATION = 2_000_000
MOST_FRAMES = 8  # that are decoded in search of one that is not blank
# Tags of a TIFF (TIFF 6.0), and the values that need care.
BITS, COMPRESSION, PHOTOMETRIC, PLANES, SAMPLE_FORMAT = 258, 259, 262, 284, 339
UNCOMPRESSED, SEPARATE_PLANES, UNSIGNED = 1, 2, 1
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
END_OF_JPEG, SCAN_OF_JPEG = b"\xff\xd9", b"\xff\xda"
# Pictures above MAX_PIXELS are decoded one at a time, whatever the number of threads.
_large = threading.Lock()
# Illustrators' programs write megabytes of history into a PNG; Pillow's limit is 1 MiB.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20


class BrokenImage(DatasetError):
    """One picture that cannot be used; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_image_name(name: str) -> bool:
    """Whether a slash-separated name ends like a picture's and is not hidden."""
    return not is_hidden(name) and any(name.lower().endswith(each) for each in EXTENSIONS)


def is_hidden(name: str) -> bool:
    """Whether a slash-separated name is below a hidden, thumbnail or trash folder, or is one."""
    return any(part in HIDDEN or part.startswith(".") for part in name.lower().split("/"))


def check_header(data: bytes) -> None:
    """Raises BrokenImage for what training would leave out, as far as that costs no decoding.

    A format that is not read, too many pixels or too few, a JPEG that breaks off.
    """
    with _open(data) as image:
        _check_size(image, MIN_SIDE)
        _check_end(image)
        _check_planes(image)


def size_of(source: bytes | BinaryIO | Path) -> tuple[int, int]:
    """Width and height as a picture's header has them. Raises BrokenImage."""
    with _open(source) as image:
        return image.size


def read_square(
    source: bytes | BinaryIO | Path, size: int, least: int = MIN_SIDE
) -> NDArray[np.uint8]:
    """Read one picture as (size, size, 3) uint8: upright, centre-cropped, over white.

    An animation gives its first frame, up to MAX_ANIMATION the first that is not blank.
    Raises BrokenImage for anything else than a whole picture in one of FORMATS with sides of
    `least` and up and at most MAX_PIXELS, MAX_JPEG_PIXELS or MAX_HEIF_PIXELS.
    """
    with _open(source) as image:
        _check_size(image, least)
        _check_end(image)
        _check_planes(image)
        is_large = image.width * image.height > MAX_PIXELS
        # JPEG decodes at a half, quarter or eighth for free; 2x leaves the filter its work.
        image.draft("RGB", (2 * size, 2 * size))
        if image.format != "HEIF" and image.width * image.height > MAX_PIXELS:
            raise BrokenImage(f"more than {MAX_PIXELS:,} pixels at {size} px")
        profile = colours.embedded_profile(image)
        with _large if is_large else nullcontext():
            _seek_content(image)
            ImageOps.exif_transpose(image, in_place=True)
            return _square(_flat(image, profile), size)


@contextmanager
def _open(source: bytes | BinaryIO | Path) -> Iterator[Image.Image]:
    """A picture whose header was read; whatever goes wrong with it becomes a BrokenImage."""
    _register_heif()
    try:
        with Image.open(_file(source), formats=FORMATS) as image:
            if image.format == "AVIF":
                _check_coded_size(source)
            yield image
    except BrokenImage:
        raise
    except UnidentifiedImageError:
        raise BrokenImage(_explain_unidentified(source)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BrokenImage(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # the system's, of the file as a whole
            raise BrokenImage(f"cannot be read: {error.strerror}") from error
        # Decoders raise errors of any type on hostile bytes; one bad file must not end the run.
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        detail = detail.partition(" (")[0]  # without numbers, so that equal reasons are one
        if "MAX_TEXT" in detail:  # Pillow names its own settings
            detail = "too much text beside the pixels"
        raise BrokenImage(f"cannot be decoded: {detail}") from error


def _explain_unidentified(source: bytes | BinaryIO | Path) -> str:
    """Why Pillow knows no format for a file: another one, or a rare kind of one that is read."""
    file = _file(source)
    start = b""
    with contextlib.suppress(OSError):
        if isinstance(file, Path):
            with file.open("rb") as opened_file:
                start = opened_file.read(stand_ins.LONGEST)
        else:
            file.seek(0)
            start = file.read(stand_ins.LONGEST)
    for signature, format in SIGNATURES.items():
        if start.startswith(signature):
            return f"a damaged {format}, or a kind of it that is not read"
    if kind := stand_ins.stand_in(start):
        return f"{kind}, not a picture in a format we read"
    return f"not a picture in a format we read ({', '.join(FORMATS)})"


@cache
def _register_heif() -> None:
    """Let Pillow read HEIC; without thumbnails, depth maps and gain maps."""
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _file(source: bytes | BinaryIO | Path) -> BinaryIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _check_size(image: Image.Image, least: int) -> None:
    width, height = image.size
    most = {"JPEG": MAX_JPEG_PIXELS, "MPO": MAX_JPEG_PIXELS, "HEIF": MAX_HEIF_PIXELS}.get(
        image.format or "", MAX_PIXELS
    )
    if width * height > most:
        raise BrokenImage(f"more than {most:,} pixels")
    if min(width, height) < least:
        raise BrokenImage(f"fewer than {least} pixels on a side")


def _check_coded_size(source: bytes | BinaryIO | Path) -> None:
    """Raises BrokenImage for an AVIF that would be decoded larger than it says."""
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, Path):
        data = source.read_bytes()
    else:
        place = source.tell()
        source.seek(0)
        data = source.read()
        source.seek(place)
    if avif.coded_pixels(data) > MAX_PIXELS:
        raise BrokenImage(f"coded as more than {MAX_PIXELS:,} pixels")


def _check_end(image: Image.Image) -> None:
    """Raises BrokenImage for a JPEG without an end after its first scan: it was cut short.

    A thumbnail within its metadata has an end of its own, which does not count; what follows the
    end (a film of a moving photograph) does not matter.
    """
    if not isinstance(image, JpegImageFile) or image.fp is None:
        return
    place = image.fp.tell()
    image.fp.seek(0)
    data = image.fp.read()
    image.fp.seek(place)
    if data.find(END_OF_JPEG, _first_scan(data)) < 0:
        raise BrokenImage("cannot be decoded: the JPEG breaks off")


def _check_planes(image: Image.Image) -> None:
    """Raises BrokenImage for a TIFF whose planes of 16 bits Pillow would read as ones of 8."""
    tags = getattr(image, "tag_v2", {})
    is_separate = tags.get(PLANES) == SEPARATE_PLANES and tags.get(COMPRESSION) == UNCOMPRESSED
    if is_separate and max(tags.get(BITS) or (8,)) > 8:
        raise BrokenImage("a TIFF with a plane of 16 bits for each channel is not read")


def _first_scan(data: bytes) -> int:
    """Where the first scan's segment begins; the data's length where there is none (T.81 B.1)."""
    place = 2
    while place + 4 <= len(data):
        marker, length = data[place : place + 2], int.from_bytes(data[place + 2 : place + 4])
        if marker == SCAN_OF_JPEG:
            return place
        # 0xFF may be repeated before a marker; Pillow reads past garbage, and so does this.
        is_segment = marker[0] == 0xFF and marker[1] not in (0x00, 0xFF)
        place += 2 + length if is_segment else 1
    return len(data)


def _seek_content(image: Image.Image) -> None:
    """Go to an animation's first frame of more than one colour; to its first, where none is near.

    Drawing programs begin with an empty canvas, which shows no face.
    """
    if image.format not in ANIMATION_FORMATS or image.width * image.height > MAX_ANIMATION:
        return
    if not getattr(image, "is_animated", False):
        return
    try:
        for frame in range(MOST_FRAMES):
            image.seek(frame)
            pixels = image.convert("RGBA")
            extremes = [pixels.getchannel(band).getextrema() for band in "RGBA"]
            if extremes[3] != (0, 0) and any(low != high for low, high in extremes):
                return
    except (EOFError, OSError, SyntaxError, ValueError):
        pass
    image.seek(0)


def _flat(image: Image.Image, profile: bytes | None = None) -> Image.Image:
    """Bring any mode to sRGB, transparency over white and 16 bits to 8."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image, profile = _eight_bits(image, profile), None
    if image.mode == "LAB":
        image, profile = _from_lab(image), None
    if image.mode == "La":  # of a TIFF: grey that is multiplied by its alpha
        image = image.convert("LA")
    if not image.has_transparency_data:
        return colours.to_srgb(image, profile)
    clear = image.convert("RGBA")
    if image.format == "BMP" and clear.getchannel("A").getextrema() == (0, 0):
        # Windows leaves the fourth byte 0; viewers show such a picture opaque.
        return colours.to_srgb(clear.convert("RGB"), profile)
    # A profile for grey is read for grey alone.
    opaque = clear.convert("L" if image.mode in colours.GREY_MODES else "RGB")
    rgb = colours.to_srgb(opaque, profile)
    rgb.putalpha(clear.getchannel("A"))
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, rgb).convert("RGB")


def _eight_bits(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Deep grey as LA in sRGB: convert() would clip it to 255 and lose its transparent value.

    16 bits are divided by 257; of 32 bits and floating point the greatest number says which of
    1, 255, 65535 and more is white.
    """
    deep, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(SAMPLE_FORMAT) == (UNSIGNED,):
        deep = deep.view(np.uint32)  # Pillow has no unsigned mode
    levels = _levels(deep.astype(np.float32), image.mode).clip(0, 255)
    if tags.get(PHOTOMETRIC) == 0:  # WhiteIsZero, which Pillow leaves
        levels = 255 - levels
    grey = colours.deep_to_srgb(levels, profile).round().astype(np.uint8)
    clear = image.info.get("transparency")
    alpha = np.full(grey.shape, 255, np.uint8) if clear is None else (deep != clear) * np.uint8(255)
    return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))


def _levels(numbers: NDArray[np.float32], mode: str) -> NDArray[np.float32]:
    """From 0, black, to 255, white."""
    if mode not in ("I", "F"):
        return numbers / np.float32(257)
    numbers = np.nan_to_num(numbers, nan=0.0, posinf=np.inf, neginf=0.0)
    finite = numbers[np.isfinite(numbers)]
    most, least = float(finite.max(initial=0)), float(finite.min(initial=0))
    if mode == "F" and -1 <= least < -0.5 and most <= 1:  # as networks have them
        numbers = (numbers + np.float32(1)) / np.float32(2)
    return numbers * np.float32(255 / _white(most, mode))


def _white(most: float, mode: str) -> float:
    """The number that means white where `most` is the greatest; filters overshoot 1 a little."""
    if mode == "F" and most <= 2:
        return 1.0
    return next((limit for limit in (255.0, 65535.0) if most <= limit), 2.0**32 - 1)


def _from_lab(image: Image.Image) -> Image.Image:
    rgb_image = colours.from_lab(image)
    if rgb_image is None:
        raise BrokenImage("cannot be decoded: its CIELAB colours cannot be converted")
    return rgb_image


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # reducing_gap: large pictures are box-reduced first, with no visible difference from 3.0 up.
    small = image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)
