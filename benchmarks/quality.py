"""Which recipe draws better faces after the same time on the same machine?

    python benchmarks/quality.py --dataset faces.zip --minutes 30 [--arm modern]

Each arm is one `kao train` with one seed. What it publishes draws 5,000 faces, which are brought
to 64 pixels by area and measured against 5,000 real ones (FD-Lite0, docs/training.md). Results
are kept, so that arms may run in calls of their own; then the table is printed, and a last line
that ends in the FD of `classic` over the FD of `modern`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peers
import platformdirs
from PIL import Image

from models import bootstrap, runs
from models.bundle import verify
from models.registry import Registry
from models.settings import Settings
from worker.datasets.packing import pack
from worker.evaluation import metrics, reference
from worker.evaluation.evaluate import draw
from worker.evaluation.features import Features, Pixels
from worker.evaluation.metrics import Moments
from worker.publishing import bundle_writer

PEER = "lightweight-gan"
ARMS = {"classic": "classic", "modern": "modern-64", "flat": "modern-64-flat", PEER: ""}
SIDE = 64


def main() -> None:
    """Train and measure the arms, then print the table of all results so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="starter, a folder or a zip")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--arm", choices=[*ARMS, "none"], help="only this one; none: the table")
    parser.add_argument("--samples", type=int, default=5_000)
    options = parser.parse_args()
    name = Path(options.dataset).stem
    cache_folder = (
        Path(platformdirs.user_cache_dir("kao-benchmarks")) / f"{name}-{options.minutes:g}"
    )
    cache_folder.mkdir(parents=True, exist_ok=True)
    for arm in ARMS if options.arm is None else [options.arm]:
        if arm != "none":
            measure(arm, options.dataset, options.minutes, options.samples, cache_folder)
    table(cache_folder)


def measure(arm: str, dataset: str, minutes: float, samples: int, cache_folder: Path) -> None:
    """Train one arm and keep its numbers and a sheet; a peer may be unable to run here."""
    settings = Settings(home=cache_folder / arm)
    real_set = pack(dataset, SIDE, cache_folder / "cache")
    samples = min(samples, real_set.count)
    before = _cpu_seconds()
    outcome = (
        _lightweight(real_set.folder, minutes, samples, cache_folder)
        if arm == PEER
        else _own(arm, settings, dataset, minutes, samples)
    )
    if outcome is None:
        return
    faces, result = outcome
    result["cpu_seconds"] = _cpu_seconds() - before
    features = Features(settings.parallel)
    real_features = reference.real(real_set, len(faces), features, cache_folder / "cache")
    fake_features = features.extract(faces)
    manifolds = metrics.manifolds(real_features, fake_features)
    result |= {
        "fd": metrics.frechet(Moments.of(real_features), fake_features).distance,
        "kid": metrics.kernel(real_features, fake_features),
        "precision": float(manifolds.precision.mean()),
        "coverage": float(manifolds.coverage.mean()),
    }
    (cache_folder / f"{arm}.json").write_text(json.dumps(result, indent=1))
    Image.fromarray(bundle_writer.sheet(faces[: bundle_writer.SHEET**2])).save(
        cache_folder / f"{arm}.png"
    )


def _own(
    arm: str, settings: Settings, dataset: str, minutes: float, samples: int
) -> tuple[Pixels, dict[str, Any]]:
    """The faces of the model that a preset publishes after so many minutes."""
    command = ["train", "--preset", ARMS[arm], "--dataset", dataset, "--minutes", str(minutes)]
    subprocess.run(
        [sys.executable, "-m", "kao", *command],
        check=True,
        env={**os.environ, **settings.environment()},
    )
    engine = bootstrap.prepare(settings)
    version = str(runs.list_runs(engine, 1)[0]["version"])
    folder = Registry(engine, settings.storage).folder(version)
    drawer = verify.verify(folder, version, settings.parallel)
    training = drawer.card.training
    faces = np.stack([by_area(face) for face in draw(drawer, samples)])
    return faces, {"images": training.images, "warnings": training.warnings}


def _lightweight(
    folder: Path, minutes: float, samples: int, cache_folder: Path
) -> tuple[Pixels, dict[str, Any]] | None:
    command = [str(peers.trainer()), str(Path(__file__).with_name("lightweight.py"))]
    path = cache_folder / f"{PEER}.npz"
    arguments = [str(folder), str(minutes), str(samples), str(path)]
    process = subprocess.run([*command, *arguments], stderr=subprocess.PIPE, text=True)
    if process.returncode:
        reason = process.stderr.strip().splitlines()[-1]
        print(f"{PEER} cannot run here ({reason}).")
        return None
    result = np.load(path)
    return result["faces"], {"images": int(result["images"]), "warnings": []}


def _cpu_seconds() -> float:
    # Equal minutes are equal compute only where nothing else ran, which this shows.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def by_area(face: Pixels) -> Pixels:
    """A face at 64 pixels."""
    if len(face) == SIDE:
        return face
    return np.asarray(Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BOX))


def table(cache_folder: Path) -> None:
    """Print all results so far."""
    results = {
        path.stem: json.loads(path.read_text()) for path in sorted(cache_folder.glob("*.json"))
    }
    print(f"{'arm':15} {'images':>9} {'CPU s':>7}", end=" ")
    print(f"{'FD':>7} {'KID':>7} {'precision':>9} {'coverage':>9}")
    for arm, outcome in results.items():
        print(f"{arm:15} {outcome['images']:9,} {outcome['cpu_seconds']:7,.0f}", end=" ")
        print(f"{outcome['fd']:7.1f} {outcome['kid']:7.4f}", end=" ")
        print(f"{outcome['precision']:9.3f} {outcome['coverage']:9.3f}")
    if PEER in results and "modern" in results:
        ratio = results[PEER]["fd"] / results["modern"]["fd"]
        print(f"FD of {PEER} over FD of modern: {ratio:.2f}")
    if results.keys() >= {"classic", "modern"}:
        ratio = results["classic"]["fd"] / results["modern"]["fd"]
        print(f"FD of classic over FD of modern: {ratio:.2f}")


if __name__ == "__main__":
    main()
