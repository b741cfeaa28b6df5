"""Which PNG encoder a face should go through: milliseconds and bytes, at 128 and 256 px.

The faces are the shipped model's. Milliseconds are of processor time, so that a busy machine
changes little. The last line ends in how many times faster ours is than Pillow's default.
"""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable

import harness
import numpy as np
import peers
from harness import ROOT
from PIL import Image

from app.avatars.encode import png
from models.bundle.generator import Pixels
from models.faces import latents
from models.faces.resizing import resize

Encoder = Callable[[Pixels], bytes]
FACES, ROUNDS = 16, 5


def pillow(**options: int) -> Encoder:
    """Pillow, which tries every filter on every row (libpng's heuristic is the same)."""

    def encode(pixels: Pixels) -> bytes:
        target = io.BytesIO()
        Image.fromarray(pixels).save(target, "PNG", **options)
        return target.getvalue()

    return encode


def with_own_framing(compress: Callable[[bytes], bytes]) -> Encoder:
    """Our own framing and filter around another compressor."""

    def encode(pixels: Pixels) -> bytes:
        height, width, _ = pixels.shape
        header = png._chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + b"\x08\2\0\0\0")
        data = png._chunk(b"IDAT", compress(png._filter(pixels).tobytes()))
        return png.SIGNATURE + header + data + png._chunk(b"IEND", b"")

    return encode


def encoders() -> dict[str, Encoder]:
    """Every candidate; `deflate` is libdeflate, `fpng` was last released in 2022."""
    import cv2
    import deflate
    import fpng_py
    import imagecodecs
    import pyvips
    from isal import isal_zlib
    from zlib_ng import zlib_ng

    def opencv(*options: int) -> Encoder:
        return lambda p: cv2.imencode(".png", p[..., ::-1], options)[1].tobytes()

    def vips(**options: object) -> Encoder:
        return lambda p: pyvips.Image.new_from_array(p).pngsave_buffer(**options)

    def fpng(p: Pixels) -> bytes:
        data: bytes = fpng_py.fpng_encode_image_to_memory(p.tobytes(), p.shape[1], p.shape[0], 3)
        return data

    up, rle = 0x20, 3  # libpng's PNG_FILTER_UP, zlib's Z_RLE
    return {
        "ours (ISA-L 1, up)": png.encode,
        "ISA-L 0, up": with_own_framing(lambda rows: isal_zlib.compress(rows, 0)),
        "ISA-L 3, up": with_own_framing(lambda rows: isal_zlib.compress(rows, 3)),
        "libdeflate 1, up": with_own_framing(lambda rows: deflate.zlib_compress(rows, 1)),
        "libdeflate 6, up": with_own_framing(lambda rows: deflate.zlib_compress(rows, 6)),
        "zlib-ng 2, up": with_own_framing(lambda rows: zlib_ng.compress(rows, 2)),
        "Pillow (6)": pillow(),
        "Pillow 1": pillow(compress_level=1),
        "Pillow, run lengths": pillow(compress_type=rle),
        "OpenCV": opencv(),
        "OpenCV 1": opencv(cv2.IMWRITE_PNG_COMPRESSION, 1),
        "imagecodecs 1": lambda p: imagecodecs.png_encode(p, level=1),
        "imagecodecs 1, up": lambda p: imagecodecs.png_encode(p, level=1, filter=up),
        "imagecodecs, up, run lengths": lambda p: imagecodecs.png_encode(
            p, level=6, filter=up, strategy=rle
        ),
        "imagecodecs spng 1": lambda p: imagecodecs.spng_encode(p, level=1),
        "libvips 1, up": vips(compression=1, filter="up"),
        "libvips 6, Paeth": vips(compression=6, filter="paeth"),
        "fpng": fpng,
    }


def measure(encode: Encoder, faces: list[Pixels]) -> tuple[float, float]:
    """(milliseconds, bytes) a face, the best round; refuses an encoder that loses a pixel."""
    files = [encode(face) for face in faces]
    for face, data in zip(faces, files, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), face)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for face in faces:
            encode(face)
        best = min(best, time.process_time() - start)
    return best / len(faces) * 1e3, sum(map(len, files)) / len(files)


def main() -> None:
    """Print a table for each size."""
    drawer = harness.drawer()
    z = np.stack([latents.derive(str(seed), drawer.card.network.latent) for seed in range(FACES)])
    pixels = drawer.draw(z, 1.0)
    candidates = encoders()
    for size in (256, 128):
        faces = [np.ascontiguousarray(resize(face, size)) for face in pixels]
        rows = {name: measure(encode, faces) for name, encode in candidates.items()}
        print(f"\n{size} px{'':24} ms a face    bytes")
        for name, (milliseconds, size_) in sorted(rows.items(), key=lambda row: row[1]):
            print(f"{name:30} {milliseconds:8.2f} {size_:8.0f}")
    ours, default = rows["ours (ISA-L 1, up)"], rows["Pillow (6)"]
    print(f"\nbytes against Pillow's default at 128 px: {ours[1] / default[1]:.2f}")
    print(f"speed against Pillow's default at 128 px: {default[0] / ours[0]:.1f}")


if __name__ == "__main__":
    theirs = peers.python()
    if sys.prefix == str(theirs.parents[1]):
        main()
    else:
        alone = {"OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "PYTHONPATH": str(ROOT)}
        sys.exit(subprocess.run([theirs, __file__], env=os.environ | alone).returncode)
