"""Reads an uploaded picture as a square of pixels.

Nothing here trusts the file: formats are an allow-list, and its size is known before it is decoded.
"""

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
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from models.datasets import avif
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
END_OF_JPEG, SCAN_OF_JPEG = b"\xff\xd9", b"\xff\xda"
SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.createProfile("LAB")
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


def peek(data: bytes) -> None:
    """Raises BrokenImage for what training would leave out, as far as that costs no decoding.

    A format that is not read, too many pixels or too few, a JPEG that breaks off.
    """
    with _open(data) as image:
        _check_size(image, MIN_SIDE)
        _check_end(image)


def size_of(source: bytes | BinaryIO | Path) -> tuple[int, int]:
    """Width and height as a picture's header has them. Raises BrokenImage."""
    with _open(source) as image:
        return image.size


def read_square(
    source: bytes | BinaryIO | Path, size: int, least: int = MIN_SIDE
) -> NDArray[np.uint8]:
    """Read one picture as (size, size, 3) uint8: upright, centre-cropped, over white.

    An animation gives its first frame. Raises BrokenImage for anything else than a whole picture
    in one of FORMATS with sides of `least` and up and at most MAX_PIXELS, MAX_JPEG_PIXELS or
    MAX_HEIF_PIXELS.
    """
    with _open(source) as image:
        _check_size(image, least)
        _check_end(image)
        is_large = image.width * image.height > MAX_PIXELS
        # JPEG decodes at a half, quarter or eighth for free; 2x leaves the filter its work.
        image.draft("RGB", (2 * size, 2 * size))
        if image.format != "HEIF" and image.width * image.height > MAX_PIXELS:
            raise BrokenImage(f"more than {MAX_PIXELS:,} pixels at {size} px")
        profile = image.info.get("icc_profile")
        with _large if is_large else nullcontext():
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
        raise BrokenImage(f"not a picture in a format we read ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BrokenImage(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:
        # Decoders raise whatever they like on hostile bytes: one bad file must not end the run.
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenImage(f"cannot be decoded: {detail}") from error


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
        raise BrokenImage(f"{width}×{height} is more than {most:,} pixels")
    if min(width, height) < least:
        raise BrokenImage(f"{width}×{height} is smaller than {least} pixels")


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
    pixels = avif.coded_pixels(data)
    if pixels > MAX_PIXELS:
        raise BrokenImage(f"its {pixels:,} coded pixels are more than {MAX_PIXELS:,}")


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


def _flat(image: Image.Image, profile: bytes | None = None) -> Image.Image:
    """Bring any mode to sRGB, transparency over white and 16 bits to 8."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _eight_bits(image)
    if image.mode == "LAB":
        image, profile = _from_lab(image), None
    if not image.has_transparency_data:
        return _to_srgb(image, profile)
    clear = image.convert("RGBA")
    colours = _to_srgb(clear.convert("RGB"), profile)
    colours.putalpha(clear.getchannel("A"))
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep grey as LA: convert() would clip it to 255 and lose which value is transparent.

    16 and 32 bits are divided by 257; floating point is from 0 to 1, or else from 0 to 255.
    """
    deep = np.asarray(image)
    scale = 1 / 257
    if image.mode == "F":
        deep = np.nan_to_num(deep)
        scale = 255 if deep.max() <= 1 else 1
    grey = (deep.astype(np.float32) * scale).round().clip(0, 255).astype(np.uint8)
    clear = image.info.get("transparency")
    alpha = np.full(grey.shape, 255, np.uint8) if clear is None else (deep != clear) * np.uint8(255)
    return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))


def _from_lab(image: Image.Image) -> Image.Image:
    """CIELAB, as image editors write it into TIFF, in sRGB."""
    converted = ImageCms.profileToProfile(image, LAB, SRGB, outputMode="RGB")
    if converted is None:
        raise BrokenImage("cannot be decoded: its CIELAB colours cannot be converted")
    return converted


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB, as browsers show a picture with an embedded colour profile.

    A profile that LittleCMS cannot read, or that is not for this kind of picture, is ignored.
    """
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            source_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source_profile):
                srgb = ImageCms.profileToProfile(
                    image,
                    source_profile,
                    SRGB,
                    ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                )
                return srgb if srgb is not None else image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # reducing_gap: large pictures are box-reduced first, with no visible difference from 3.0 up.
    small = image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)
