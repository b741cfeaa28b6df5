"""Faces a second for new seeds: PNG, 16 clients, one core.

    python benchmarks/serving.py [--size 256]

Beside Kao: the bare loop (ONNX Runtime at batch 1 and the same encoder, no HTTP), LitServe and
BentoML with the same weights as their documentation would have one write it and with our graphs and
encoder, each at its best batch, and DiceBear's PNGs. Every picture is compared with Kao's. The
last line ends in the share of the bare loop.
"""

import argparse
import io
import json
import shutil
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import harness
import numpy as np
import peers
from harness import Load, Server, kao, load, serving
from PIL import Image

from app.avatars.encode.still import encode
from models.faces import latents

FOLDER = Path(__file__).parent
BATCHES = {"torch": ("1", "8", "16"), "graph": ("1", "4", "8")}
WORDS = {"torch": "PyTorch, Pillow", "graph": "our graphs and encoder"}
SEED = {"seed": "42"}


def bare(size: int) -> float:
    """Faces a second without HTTP, on the server's core."""
    with harness.on_core(harness.cores()[0]):
        drawer = harness.drawer()
        length, count, start = drawer.card.network.latent, 0, time.perf_counter()
        while time.perf_counter() - start < harness.SECONDS:
            z = latents.derive(f"bare {count}", length)[None]
            (pixels,) = drawer.draw_at(z, drawer.card.psi, size)
            encode(pixels, size, "png")
            count += 1
        return count / (time.perf_counter() - start)


def fetch_pixels(server: Server, path: str, body: dict[str, str] | None = None) -> np.ndarray:
    """The pixels of one picture."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url(path), data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB"))


def litserve(environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """LitServe; environment: what peer_models.py reads."""
    return serving([peers.python(), FOLDER / "litserve_app.py"], "/health", environment)


def bentoml(environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """BentoML; environment: what peer_models.py reads."""
    service = "bentoml_app:Single" if environment["PEER_BATCH"] == "1" else "bentoml_app:Front"
    command = [str(peers.python()), "-m", "bentoml", "serve", service, "--working-dir", str(FOLDER)]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    return serving(command, "/readyz", environment)


PEERS = {"LitServe": (litserve, "/predict"), "BentoML": (bentoml, "/avatar")}


def print_rate(label: str, report: Load) -> float:
    """Print a row; its rate of right answers."""
    print(f"{label:46} {report}", flush=True)
    return report.rate


def best(name: str, kind: str, size: int, ours: np.ndarray) -> float:
    """The best rate of a peer over the batches it is tried with."""
    start, path = PEERS[name]
    rates = []
    for batch in BATCHES[kind]:
        environment = {"PEER_MODEL": kind, "PEER_BATCH": batch, "PEER_SIZE": str(size)}
        with start(environment) as server:
            theirs = fetch_pixels(server, path, SEED)
            difference = int(np.abs(theirs.astype(int) - ours).max())
            # One of 255 in the drawing; resizing may double it.
            assert difference <= 2, f"{name} draws another face: {difference} of 255 apart"
            label = f"{name}, {WORDS[kind]}, batch {batch}"
            rates.append(print_rate(label, load(server, path, body='{"seed":"SEED"}')))
    return max(rates)


def dicebear(size: int) -> None:
    """DiceBear's PNGs, for comparison."""
    node = peers.node()
    if node is not None:
        program, folder = node
        script = shutil.copy(FOLDER / "dicebear.mjs", folder)
        with serving([program, script], f"/png?size={size}&seed=1") as server:
            print_rate("DiceBear, PNG", load(server, f"/png?size={size}&seed=SEED"))


def measure_kao(size: int) -> tuple[np.ndarray, float, float]:
    """Kao's picture of seed 42, its rate, and the bare loop's beside it."""
    with kao() as server:
        picture = fetch_pixels(server, f"/avatar?size={size}&seed=42")
        before = bare(size)
        rate = print_rate("Kao", load(server, f"/avatar?size={size}&seed=SEED"))
    loop = (before + bare(size)) / 2
    print(f"{'bare loop':46} {loop:8.1f} faces/s")
    return picture, rate, loop


def main() -> None:
    """Measure all and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="pixels along a side")
    size = parser.parse_args().size
    picture, first, first_loop = measure_kao(size)
    dicebear(size)
    rates = {(name, kind): best(name, kind, size, picture) for name in PEERS for kind in BATCHES}
    # Again after the peers: a machine that others use too is not equally fast for minutes.
    _, last, last_loop = measure_kao(size)
    rate, loop = (first + last) / 2, (first_loop + last_loop) / 2
    print()
    for (name, kind), theirs in rates.items():
        print(f"Kao against {name}, {WORDS[kind]}: {rate / theirs:.2f}")
    print(f"Kao against the bare loop: {rate / loop:.2f}")


if __name__ == "__main__":
    main()
