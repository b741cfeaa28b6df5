"""How fast is a dataset packed, against a bare loop over the same pictures with Pillow?

    python benchmarks/packing.py [--pictures 2000] [--side 512] [--size 64] [--rounds 2]

Both read the same files, half of them JPEG and half PNG; the loop opens, crops, reduces and keeps
each picture, and does nothing else. They run by turns, so that what disturbs one disturbs the
other. Pictures for each second of processor time are compared, which other programs on the machine
change little; those for each second of the clock show whether all cores are used. The last line
ends in the ratio for each core.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from models import cores
from worker.datasets.packing import pack

Times = tuple[float, float]  # seconds of the clock, seconds of the processor


def main() -> None:
    """Draw the pictures, time both by turns, and print pictures a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--side", type=int, default=512, help="of a picture, in pixels")
    parser.add_argument("--size", type=int, default=64, help="to pack them at, in pixels")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kao-packing-") as folder:
        pictures, cache = Path(folder, "pictures"), Path(folder, "cache")
        draw(pictures, options.pictures, options.side)
        arms: dict[str, Callable[[], object]] = {
            "Pillow, one thread": lambda: loop(pictures, options.size),
            "kao, one thread": lambda: pack(pictures, options.size, cache, workers=1),
            f"kao, {cores.available()} cores": lambda: pack(pictures, options.size, cache),
        }
        times: dict[str, list[Times]] = {name: [] for name in arms}
        for _ in range(options.rounds):
            for name, arm in arms.items():
                times[name].append(measure_times(arm))
                shutil.rmtree(cache, ignore_errors=True)
    report(times, options.pictures)


def draw(folder: Path, count: int, side: int) -> None:
    """Write pictures of soft shapes with a little noise, as photographs have."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        soft = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        pixels = np.asarray(soft.resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
        noise = random.integers(-4, 5, pixels.shape, dtype=np.int16)
        image = Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
        image.save(folder / f"{number:06}.{'png' if number % 2 else 'jpg'}")


def loop(folder: Path, size: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Read each picture as a square, as a script of ten lines would."""
    squares = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))
            small = image.convert("RGB").resize(
                (size, size), Image.Resampling.LANCZOS, reducing_gap=3.0
            )
        squares.append(np.asarray(small))
    return squares


def measure_times(run: Callable[[], object]) -> Times:
    """Seconds of the clock, and of the processor in all threads."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def report(times: dict[str, list[Times]], count: int) -> None:
    """Print the medians of the rounds, and the ratio for each core."""
    speeds = {}
    for name, rounds in times.items():
        clock, processor = (statistics.median(each) for each in zip(*rounds, strict=True))
        speeds[name] = count / processor
        print(f"{name}: {count / clock:.0f} pictures a second, {speeds[name]:.0f} a core")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare, *ours = speeds.values()
    print(f"peak memory {peak:.0f} MiB")
    print(f"ratio for each core: {min(ours) / bare:.2f}")


if __name__ == "__main__":
    main()
