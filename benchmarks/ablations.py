"""What does each part of the recipe do to FD, at equal images and the same seed?

    python benchmarks/ablations.py --dataset starter --side 32 --images 30000 [--arm no-mapping]

Every arm is `modern-64` with the fields below replaced. Its averaged generator draws 2,500 faces,
measured against as many real ones. Results are kept, so that arms may run in calls of their own;
the table is docs/training.md's.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.recipes.recipe import resolve
from models.settings import Settings
from worker.datasets.packing import pack
from worker.evaluation import metrics, reference
from worker.evaluation.features import Features
from worker.evaluation.in_training import draw
from worker.evaluation.metrics import Moments
from worker.hardware import devices
from worker.training.batches import Reals
from worker.training.trainer import Trainer

SAMPLES = 2_500
SMALL = 1_000  # images of a set that is small enough to be learnt by heart
ARMS: dict[str, dict[str, Any]] = {
    "modern-64": {},
    "loss logistic": {"loss": "logistic"},
    "no penalty": {"gamma": 0},
    "penalty r1+r2": {"penalty": "r1+r2"},
    "gamma 0.25": {"gamma": 0.25},
    "gamma 4": {"gamma": 4},
    "no EMA": {"ema_images": 0},
    "no mapping": {"style": 0},
    "mixing 0.5": {"mixing": 0.5},
    "generator width 12": {"width": 12},
    "generator width 48": {"width": 48},
    "flatten 20": {"flatten": 20},
    "learning rates 2e-4": {
        "generator": {"learning_rate": 2e-4},
        "discriminator": {"learning_rate": 2e-4},
    },
    "batch 16": {"batch": 16},
    "batch 64": {"batch": 64},
    "labels": {"labels": ["hair_length", "hair_colour", "skin", "background"]},
    f"{SMALL:,} images, no augmentation": {"dataset_limit": SMALL, "augment": 0},
    f"{SMALL:,} images, augmentation": {"dataset_limit": SMALL},
}


def main() -> None:
    """Train and measure the arms, then print the table of all results so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="starter, a folder or a zip")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--arm", action="append", choices=[*ARMS, "none"])
    options = parser.parse_args()
    torch.set_num_threads(Settings().parallel)
    name = f"ablations-{Path(options.dataset).stem}-{options.side}-{options.images}"
    cache_folder = Path(platformdirs.user_cache_dir("kao-benchmarks")) / name
    cache_folder.mkdir(parents=True, exist_ok=True)
    for arm in options.arm or ARMS:
        if arm != "none":
            result = measure(arm, options.dataset, options.side, options.images)
            (cache_folder / f"{list(ARMS).index(arm):02}.json").write_text(
                json.dumps(result, indent=1)
            )
    table(cache_folder)


def measure(arm: str, dataset: str, side: int, images: int) -> dict[str, Any]:
    """Train one arm; its numbers."""
    recipe = resolve({"resolution": side, "images": images, **ARMS[arm]})
    cpu, threads, cache = torch.device("cpu"), torch.get_num_threads(), Settings().cache
    packed_set = pack(dataset, side, cache)
    few = slice(recipe.dataset_limit)
    labels = {
        label: {**row, "codes": row["codes"][few]} for label, row in packed_set.labels().items()
    }
    reals = Reals(packed_set.images()[few], recipe, cpu, labels=labels)
    trainer = Trainer(recipe, reals, cpu, devices.uses_bf16(recipe, cpu))
    start = time.process_time()
    while trainer.images < images:
        trainer.advance(trainer.images / images)
    seconds = time.process_time() - start
    features = Features(threads)
    real = reference.real(packed_set, SAMPLES, features, cache)
    fake = features.extract(draw(trainer.average, trainer.latent, SAMPLES))
    manifolds = metrics.manifolds(real, fake)
    return {
        "arm": arm,
        "gmac": _gmac(trainer),
        "images_per_core_second": images / seconds,
        "fd": metrics.frechet(Moments.of(real), fake).distance,
        "precision": float(np.mean(manifolds.precision)),
        "coverage": float(np.mean(manifolds.coverage)),
    }


def _gmac(trainer: Trainer) -> float:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        trainer.average(torch.zeros(1, trainer.latent))
    return counter.get_total_flops() / 2e9


def table(cache_folder: Path) -> None:
    """Print all results so far, in Markdown."""
    print("| arm | generator, GMAC | images/s a core | FD | precision | coverage |")
    print("|-|-|-|-|-|-|")
    for path in sorted(cache_folder.glob("*.json")):
        row = json.loads(path.read_text())
        numbers = f"{row['gmac']:.3f} | {row['images_per_core_second']:.0f}"
        measures = f"{row['fd']:.0f} | {row['precision']:.3f} | {row['coverage']:.3f}"
        print(f"| {row['arm']} | {numbers} | {measures} |")


if __name__ == "__main__":
    main()
