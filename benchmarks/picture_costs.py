"""What each layout costs in each format: the costs in the table of `app/avatars/formats.py`.

Faces of the shipped model are encoded at the largest size of each layout, each row in a child of
its own. Milliseconds are of processor time for a megapixel of the file, all frames together.
Memory is the peak of the resident set above what the process and the faces take: bytes for a pixel
of one frame and, from loops of two lengths, for a pixel of each further frame.

    .venv/bin/python benchmarks/picture_costs.py
"""

import ctypes
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import harness
import numpy as np

from app.avatars.encode import picture, still
from app.avatars.formats import LOOP, RASTER, STILL
from app.avatars.request.costs import FIXED_BYTES
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR, OG, SHEET, WALK, PictureType
from app.server import share_heap
from models.bundle.generator import Drawer, Pixels
from models.faces import latents
from models.faces.resizing import resize

# Layout → its type, its formats, its largest picture and the pixels of one frame.
LARGEST: dict[str, tuple[PictureType, tuple[str, ...], dict[str, str], int]] = {
    "face": (AVATAR, STILL, {"seed": "1", "size": "1024", "shape": "circle"}, 1024**2),
    "loop": (WALK, LOOP, {"seed": "1", "size": "512", "shape": "circle"}, 512**2),
    "sheet": (SHEET, RASTER, {"count": "100", "size": "404", "shape": "circle"}, 4040**2),
    "card": (OG, RASTER, {"seed": "1"}, 1200 * 628),
}
SHORT_LOOP, LONG_LOOP = 8, 64  # frames


def rows(drawer: Drawer) -> Iterator[tuple[str, str, float, float, float]]:
    """Layout, format, ms a megapixel, bytes a pixel, and bytes a pixel of each frame."""
    for layout, (picture_type, formats, texts, pixels) in LARGEST.items():
        for format in formats:
            if layout != "loop":
                request = PictureRequest.parse(picture_type, {**texts, "format": format})
                seconds, peak = measure(drawer, request)
                yield layout, format, 1e9 * seconds / pixels, peak / pixels, 0.0
                continue
            runs = {}
            for frames in (SHORT_LOOP, LONG_LOOP):
                texts = {**texts, "frames": str(frames), "format": format}
                runs[frames] = measure(drawer, PictureRequest.parse(picture_type, texts))
            (_, short_peak), (seconds, long_peak) = runs[SHORT_LOOP], runs[LONG_LOOP]
            each = max(0.0, (long_peak - short_peak) / (LONG_LOOP - SHORT_LOOP) / pixels)
            one = max(0.0, short_peak / pixels - each * SHORT_LOOP)
            yield layout, format, 1e9 * seconds / pixels / LONG_LOOP, one, each


def measure(drawer: Drawer, request: PictureRequest) -> tuple[float, float]:
    """CPU seconds and bytes of encoding a request, in a forked child."""
    pixels = faces(drawer, request)
    encode = partial(picture.encode, pixels, request, still.NO_STAMP)
    return in_child(lambda: (time_of(encode), peak_of(encode)))


def faces(drawer: Drawer, request: PictureRequest) -> Pixels:
    """As many faces as the request shows, of the size that an enlarger would draw."""
    values = request.values
    count = values.get("frames") or values.get("count") or 1
    z = np.stack([latents.derive(str(seed), drawer.card.network.latent) for seed in range(count)])
    # An SVG is traced from 1024 pixels, which is this picture's size too.
    return np.stack([np.asarray(resize(face, request.face_size)) for face in drawer.draw(z, 0.7)])


def time_of(encode: Callable[[], object]) -> float:
    """CPU seconds of the quicker of two tries."""
    times = []
    for _ in range(2):
        start = time.process_time()
        encode()
        times.append(time.process_time() - start)
    return min(times)


def peak_of(encode: Callable[[], object]) -> float:
    """Bytes by which the resident set grows meanwhile."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak (proc(5))
    before = status("VmRSS")
    encode()
    return status("VmHWM") - before


def status(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def in_child(work: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """The result of `work` in a forked child, which has a heap of its own."""
    receiver, sender = os.pipe()
    if (child := os.fork()) == 0:
        os.write(sender, json.dumps(work()).encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        first, second = json.load(pipe)
    os.waitpid(child, 0)
    return first, second


def main() -> None:
    """Print the rows as they stand in the table."""
    share_heap()
    drawer = harness.drawer()
    print(f"# {FIXED_BYTES >> 20} MiB of every picture are FIXED_BYTES, not in these rows")
    for layout, format, milliseconds, one, each in rows(drawer):
        print(
            f'{format}: "{layout}": EncodingCost({milliseconds:.0f}, {one:.1f}, {each:.2f}),',
            flush=True,
        )


if __name__ == "__main__":
    main()
