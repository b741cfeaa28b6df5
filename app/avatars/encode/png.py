"""PNG, still or animated, framed here so that ISA-L can compress it.

No library on PyPI that is kept up writes a PNG from pixels with a fast compressor:
`benchmarks/encoders.py` measures those that there are. Source of the format: PNG (third
edition), W3C Recommendation, §5 and §9.
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
UP = 2  # the filter that a face compresses best with, of those that cost one subtraction


def encode(pixels: Pixels, chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """(H, W, 3 or 4) uint8 to a PNG's bytes; the same for the same pixels on one kind of processor.

    `chunks`: further (type, data), written before the pixels.
    """
    parts = [_header(pixels), *chunks, (b"IDAT", _compressed(pixels)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def animate(
    frames: Iterable[Pixels],
    count: int,
    milliseconds: int,
    chunks: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """`count` frames of one size, each (H, W, 3 or 4) uint8, to an APNG that never ends (§11.3.2).

    Each frame replaces the one before it.
    """
    made, number = bytearray(SIGNATURE), 0
    for pixels in frames:
        if not number:
            for kind, content in (
                _header(pixels),
                *chunks,
                (b"acTL", struct.pack(">II", count, 0)),
            ):
                made += _chunk(kind, content)
        height, width, _ = pixels.shape
        place = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, milliseconds, 1000, 0, 0)
        made += _chunk(b"fcTL", place)
        data = _compressed(pixels)
        # The first frame is what a reader of plain PNG sees.
        made += (
            _chunk(b"fdAT", struct.pack(">I", number + 1) + data)
            if number
            else _chunk(b"IDAT", data)
        )
        number += 2 if number else 1
    return bytes(made + _chunk(b"IEND", b""))


def _header(pixels: Pixels) -> tuple[bytes, bytes]:
    height, width, channels = pixels.shape
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)  # 8 bits


def _compressed(pixels: Pixels) -> bytes:
    data: bytes = isal_zlib.compress(_filtered(pixels), LEVEL)
    return data


def _filtered(pixels: Pixels) -> Pixels:
    """Each row as its difference from the row above, behind its filter's number (§9.2)."""
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, width * channels)
    rows = np.empty((height, width * channels + 1), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])  # modulo 256, as the format says
    return rows


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
