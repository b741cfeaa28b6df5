"""Short trainings whose weights were recorded before the training step could be replayed.

`python -m tests.support.reference_training FILE` records them anew.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.recipes.recipe import resolve
from worker.training.batches import Reals
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
STEPS, IMAGES = 20, 48
VALUES = {"hair": ["red", "blue", "black"], "eyes": ["open", "shut"]}
Fields = dict[str, Any]

# Recipe fields, and whether the networks compute in bf16.
CASES: dict[str, tuple[Fields, bool]] = {
    "plain": ({}, False),
    "everything": (
        {
            "mixing": 0.5,
            "labels": ["hair", "eyes"],
            "label_weight": 2.0,
            "noise": 8.0,
            "augment": 0.5,
            "penalty": "r1+r2",
            "gamma_end": 0.2,
            "learning_rate_end": 0.05,
            "flip": True,
            "residuals": 1,
            "flatten": 20.0,
        },
        False,
    ),
    "bf16": ({"mixing": 0.5, "penalty_every": 2}, True),
    "features": (
        {"resolution": 64, "feature_weight": 0.5, "labels": ["hair"], "noise": 8.0},
        False,
    ),
}


def trainer(fields: Fields, bf16: bool = False) -> Trainer:
    """A trainer of the smallest networks on random pixels, labelled at random."""
    recipe = resolve({"preset": "smoke", **fields, "images": 160})
    random = np.random.default_rng(0)
    side = recipe.resolution
    pixels = random.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)
    codes = {name: random.integers(0, len(VALUES[name]), IMAGES).tolist() for name in VALUES}
    labels = {name: {"values": VALUES[name], "codes": codes[name]} for name in VALUES}
    return Trainer(recipe, Reals(pixels, recipe, CPU, labels=labels), CPU, bf16)


def train(one: Trainer, steps: int = STEPS) -> list[dict[str, float]]:
    """Train for some steps, far enough in for augmentation; the losses of each."""
    one.begin(1000, 1000)
    return [one.advance(step / STEPS) for step in range(steps)]


def digest(one: Trainer) -> str:
    """The SHA-256 of all weights, and of the optimisers' state."""
    networks = [one.generator, one.discriminator, one.average]
    networks += [one.heads] if one.features is not None else []
    weights = (value for each in networks for value in each.state_dict().values())
    states = (one.optimizers[name].state_dict()["state"] for name in sorted(one.optimizers))
    moments = (
        each[name] for state in states for _, each in sorted(state.items()) for name in sorted(each)
    )
    hash = hashlib.sha256()
    for tensors in (weights, moments):
        _add(hash, tensors)
    return hash.hexdigest()


def _add(hash: "hashlib._Hash", tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        hash.update(tensor.contiguous().numpy().tobytes())


def machine() -> str:
    """What decides how a CPU rounds."""
    return f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {_model()}"


def _model() -> str:
    """The processor's family and model."""
    rows = [line.split(":") for line in Path("/proc/cpuinfo").read_text().splitlines() if line]
    values = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    return f"{values.get('cpu family')} {values.get('model')}"


def record(path: Path) -> None:
    """Train each case and write its digest and losses."""
    torch.set_num_threads(1)
    cases = {}
    for name, (fields, bf16) in CASES.items():
        one = trainer(fields, bf16)
        losses = train(one)
        cases[name] = {"digest": digest(one), "losses": losses[:: STEPS - 1]}
    path.write_text(json.dumps({"machine": machine(), "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
