"""Faces a second for seeds that nobody asked for before: 128 px PNG, 16 clients, one core.

Beside Kao: the bare loop (ONNX Runtime at batch 1 and the same encoder, no HTTP), LitServe and
BentoML with the same weights as their documentation would have one write it and with our graph and
encoder, each at its best batch, and DiceBear's PNGs. Every picture is compared with Kao's. The
last line ends in the share of the bare loop.
"""

import io
import json
import shutil
import time
import urllib.request
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
WORDS = {"torch": "PyTorch, Pillow", "graph": "our graph and encoder"}
SEED = {"seed": "42"}


def bare() -> float:
    """Faces a second without HTTP, on the server's core."""
    with harness.on_core(harness.cores()[0]):
        drawer = harness.drawer()
        length, count, start = drawer.card.network.latent, 0, time.perf_counter()
        while time.perf_counter() - start < harness.SECONDS:
            (pixels,) = drawer.draw(latents.derive(f"bare {count}", length)[None], 1.0)
            encode(pixels, 128, "png")
            count += 1
        return count / (time.perf_counter() - start)


def fetch_pixels(server: Server, path: str, body: dict[str, str] | None = None) -> np.ndarray:
    """The pixels of one picture."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url(path), data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB"))


def litserve(painter: str, batch: str) -> AbstractContextManager[Server]:
    """LitServe with a painter and a largest batch."""
    environment = {"PEER_PAINTER": painter, "PEER_BATCH": batch}
    return serving([peers.python(), FOLDER / "litserve_app.py"], "/health", environment)


def bentoml(painter: str, batch: str) -> AbstractContextManager[Server]:
    """BentoML with a painter and a largest batch."""
    service = "bentoml_app:Single" if batch == "1" else "bentoml_app:Front"
    command = [str(peers.python()), "-m", "bentoml", "serve", service, "--working-dir", str(FOLDER)]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    return serving(command, "/readyz", {"PEER_PAINTER": painter, "PEER_BATCH": batch})


PEERS = {"LitServe": (litserve, "/predict"), "BentoML": (bentoml, "/avatar")}


def print_rate(label: str, pixels_seen: Load) -> float:
    """Print a row; its rate, or nothing where answers were lost."""
    print(f"{label:46} {pixels_seen}", flush=True)
    return pixels_seen.rate


def best(name: str, painter: str, ours: np.ndarray) -> float:
    """The best rate of a peer over the batches it is tried with."""
    start, path = PEERS[name]
    rates = []
    for batch in BATCHES[painter]:
        with start(painter, batch) as server:
            theirs = fetch_pixels(server, path, SEED)
            apart = int(np.abs(theirs.astype(int) - ours).max())
            # One of 255 in the drawing; resizing may double it.
            assert apart <= 2, f"{name} draws another face: {apart} of 255 apart"
            label = f"{name}, {WORDS[painter]}, batch {batch}"
            rates.append(print_rate(label, load(server, path, body='{"seed":"SEED"}')))
    return max(rates)


def dicebear() -> None:
    """DiceBear's PNGs of 128 px, for the eye."""
    node = peers.node()
    if node is not None:
        program, folder = node
        script = shutil.copy(FOLDER / "dicebear.mjs", folder)
        with serving([program, script], "/png?seed=1") as server:
            print_rate("DiceBear, PNG", load(server, "/png?seed=SEED"))


def ours() -> tuple[np.ndarray, float, float]:
    """Kao's picture of seed 42, its rate, and the bare loop's beside it."""
    with kao() as server:
        picture = fetch_pixels(server, "/avatar?seed=42")
        before = bare()
        rate = print_rate("Kao", load(server, "/avatar?seed=SEED"))
    loop = (before + bare()) / 2
    print(f"{'bare loop':46} {loop:8.1f} faces/s")
    return picture, rate, loop


def main() -> None:
    """Measure all and print the ratios."""
    picture, first, first_loop = ours()
    dicebear()
    rates = {(name, painter): best(name, painter, picture) for name in PEERS for painter in BATCHES}
    # Again after the peers: a machine that others use too is not equally fast for minutes.
    _, last, last_loop = ours()
    rate, loop = (first + last) / 2, (first_loop + last_loop) / 2
    print()
    for (name, painter), theirs in rates.items():
        print(f"Kao against {name}, {WORDS[painter]}: {rate / theirs:.2f}")
    print(f"Kao against the bare loop: {rate / loop:.2f}")


if __name__ == "__main__":
    main()
