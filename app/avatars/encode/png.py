"""Writes PNG and APNG, compressed by ISA-L.

No maintained library on PyPI writes PNG with a fast compressor; `benchmarks/encoders.py` measures
those that exist. Source of the format: PNG (third edition), W3C Recommendation, §5 and §9.
"""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from isal import isal_zlib

from models.bundle.generator import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# ISA-L's levels 1 to 3 differ by less than a tenth in size; 1 is the fastest.
LEVEL = 1
_COLOUR = {3: 2, 4: 6}  # colour types RGB and RGBA, by channels (§11.2.1)
UP = 2  # of the filters that cost one subtraction, the one that compresses faces best


def encode(pixels: Pixels, chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """(H, W, 3 or 4) uint8 to a PNG; equal pixels give equal bytes on one type of processor.

    chunks: further (type, data), written before the pixels.
    """
    parts = [_header(pixels), *chunks, (b"IDAT", _compress(pixels)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def animate(
    frames: Iterable[Pixels],
    count: int,
    milliseconds: int,
    chunks: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """`count` frames of one size, each (H, W, 3 or 4) uint8, to an endless APNG (§11.3.2).

    Each frame replaces the one before it.
    """
    body, number = bytearray(SIGNATURE), 0
    for pixels in frames:
        if not number:
            for kind, content in (
                _header(pixels),
                *chunks,
                (b"acTL", struct.pack(">II", count, 0)),
            ):
                body += _chunk(kind, content)
        height, width, _ = pixels.shape
        place = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, milliseconds, 1000, 0, 0)
        body += _chunk(b"fcTL", place)
        data = _compress(pixels)
        # Readers of plain PNG show the first frame.
        body += (
            _chunk(b"fdAT", struct.pack(">I", number + 1) + data)
            if number
            else _chunk(b"IDAT", data)
        )
        number += 2 if number else 1
    return bytes(body + _chunk(b"IEND", b""))


def _header(pixels: Pixels) -> tuple[bytes, bytes]:
    height, width, channels = pixels.shape
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)  # 8 bits


def _compress(pixels: Pixels) -> bytes:
    data: bytes = isal_zlib.compress(_filter(pixels), LEVEL)
    return data


def _filter(pixels: Pixels) -> Pixels:
    """Each row as its difference from the row above, after the number of its filter (§9.2)."""
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, width * channels)
    rows = np.empty((height, width * channels + 1), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])  # modulo 256, as the format specifies
    return rows


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
