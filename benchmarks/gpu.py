"""Are gradients right on this device, and how fast do the presets train there?

    python benchmarks/gpu.py [--device cuda] [--seconds 200] [--out gpu.json]

First one step's gradients are compared with the CPU's in float32, parameter by parameter: in
float32 without TF32, and in bf16, gradient penalty included. Then each preset is timed, operation
by operation and as CUDA graphs (on a CPU: with inputs in buffers), unless it needs more memory
than the device has. The results are written as JSON; the exit code is 1 where a gradient is wrong.
`--device cpu --seconds 30` is the same in small.
"""

import argparse
import gc
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.errors import KaoError
from models.recipes.recipe import Recipe, resolve
from worker.hardware import devices
from worker.training import memory
from worker.training.batches import Reals
from worker.training.execution import Buffered
from worker.training.trainer import Trainer

Result = dict[str, Any]
CPU = torch.device("cpu")
# Relative errors of a parameter's gradient, ‖a - b‖ / ‖b‖. Two correct kernels on a CPU differ by
# up to 0.002 in float32, since rounding decides at the kinks of ReLU6 and of the hinge loss; bf16
# gives up to 0.26; cuDNN's wrong kernels on an H100 gave a half and more (pytorch #150700).
TOLERANCE = {"fp32": 0.02, "bf16": 0.4}
# Share of the largest norm in a network. Smaller gradients are judged against it: one of a bias may
# be 0, where one score beyond the hinge's kink more or less is any number of times as much.
LEAST_NORM = 0.05
PRESETS = ("ten-minutes-gpu", "hour-gpu", "night-gpu", "modern-64-gpu", "modern-128-gpu")
IMAGES = 2_048
CHECK_FIELDS = {"batch": 16, "penalty": "r1+r2", "penalty_every": 1, "mixing": 0.5, "augment": 0.5}


def main() -> None:
    """Check the gradients, time the presets, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=200, help="for all timings together")
    parser.add_argument("--presets", nargs="*", help="default: those for GPUs; on a CPU smoke")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    device = devices.own() if options.device == "cuda" else CPU
    if options.device == "cuda" and device.type != "cuda":
        sys.exit("There is no usable GPU; `--device cpu` runs the same in small.")
    presets = options.presets or (PRESETS if device.type == "cuda" else ["smoke"])
    result: Result = {"device": devices.name(device), "torch": torch.__version__}
    result["gradients"] = [check_gradients(name, device) for name in _presets_to_check(device)]
    _write(options.out, result)
    seconds = options.seconds / (2 * len(presets))
    result["speed"] = []
    for name in presets:
        for with_graphs in (False, True):
            result["speed"].append(try_preset(name, device, with_graphs, seconds))
            _write(options.out, result)
    wrong = [each for each in result["gradients"] if not each["is_right"]]
    sys.exit(1 if wrong else 0)


def _presets_to_check(device: torch.device) -> list[str]:
    return ["ten-minutes-gpu", "hour-gpu"] if device.type == "cuda" else ["smoke"]


def check_gradients(preset: str, device: torch.device) -> Result:
    """Compare one step's gradients on the device with the CPU's, and print the worst."""
    recipe = resolve({"preset": preset, **CHECK_FIELDS})
    expected = gradients(_trainer(recipe, CPU, bf16=False), CPU)
    result: Result = {"preset": preset, "is_right": True}
    for precision in ("fp32", "bf16"):
        with devices.exact_float32():  # TF32 would hide a wrong kernel
            actual = gradients(_trainer(recipe, device, precision == "bf16"), device)
        errors = relative_errors(actual, expected)
        worst = largest(errors)
        result[precision] = {"errors": errors, "worst": worst, "largest": errors[worst]}
        result["is_right"] &= errors[worst] < TOLERANCE[precision]
        print(f"gradients of {preset} in {precision}: {errors[worst]:.2e} at most, {worst}")
    return result


def largest(errors: dict[str, float]) -> str:
    """The name of the largest error. NaN is larger than any number."""
    return max(errors, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])


def gradients(trainer: Trainer, device: torch.device) -> dict[str, Tensor]:
    """The first step's, on the CPU, by network and parameter; nothing is updated.

    The inputs are sampled on the CPU, so that they are the same for all devices.
    """
    copies: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        for each, parameter in getattr(trainer, name).named_parameters():
            if parameter.grad is not None:
                copies[f"{name}.{each}"] = parameter.grad.detach().float().cpu().clone()

    object.__setattr__(trainer.step_program, "update", keep)
    sampler = _trainer(trainer.recipe, CPU, bf16=False)
    inputs = {name: values.to(device) for name, values in sampler.step_inputs().items()}
    trainer.step_program.run(inputs)
    return copies


def relative_errors(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """How far each gradient is from the expected one. Names are of a network and a parameter."""
    norms = {name: float(each.norm()) for name, each in expected.items()}
    largest_norms: dict[str, float] = {}
    for name, norm in norms.items():
        network = name.partition(".")[0]
        largest_norms[network] = max(norm, largest_norms.get(network, 0.0))
    return {
        name: float((actual[name] - each).norm())
        / max(norms[name], LEAST_NORM * largest_norms[name.partition(".")[0]])
        for name, each in expected.items()
    }


def try_preset(preset: str, device: torch.device, with_graphs: bool, seconds: float) -> Result:
    """Time a preset; where the device has too little memory, the result says so."""
    try:
        return time_preset(preset, device, with_graphs, seconds)
    except (KaoError, torch.OutOfMemoryError) as error:
        print(f"{preset:18} {error}")
        return {"preset": preset, "replayed": with_graphs, "failure": str(error)}


def time_preset(preset: str, device: torch.device, with_graphs: bool, seconds: float) -> Result:
    """Train on random pixels for some seconds, after every variant of the step was recorded."""
    recipe = resolve({"preset": preset})
    gc.collect()  # a trainer is part of a cycle, and the last one would count here
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    trainer = _trainer(recipe, device, devices.uses_bf16(recipe, device), with_graphs)
    if with_graphs and device.type != "cuda":
        trainer.execution = Buffered(trainer._run_step)
    result: Result = {"preset": preset, "replayed": with_graphs}
    memory.check(trainer)
    result["estimated_bytes"] = round(memory.bytes_needed(trainer))
    deadline = time.monotonic() + seconds / 2
    # Four steps with the penalty: three to warm up, one to record.
    for _ in range(4 * recipe.penalty_every if device.type == "cuda" else 1):
        trainer.train()
        if time.monotonic() > deadline:
            break
    _wait(device)
    start, steps = time.monotonic(), 0
    while time.monotonic() - start < seconds / 2:
        trainer.train()
        steps += 1
    _wait(device)
    rate = steps * recipe.batch / (time.monotonic() - start)
    result |= {"steps": steps, "images_per_second": rate, "failure": trainer.execution.failure}
    if device.type == "cuda":
        result["peak_bytes"] = torch.cuda.max_memory_reserved(device)
        trainer.execution.reset()
    how = "replayed" if with_graphs else "eager"
    print(f"{preset:18} {how:9} {rate:9.1f} images/s in {steps} steps")
    return result


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _trainer(
    recipe: Recipe, device: torch.device, bf16: bool, graphs: bool | None = False
) -> Trainer:
    random = np.random.default_rng(0)
    shape = IMAGES, recipe.resolution, recipe.resolution, 3
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    trainer = Trainer(recipe, Reals(pixels, recipe, device), device, bf16, graphs=graphs)
    trainer.begin(10**6, 10**6)  # far enough in for augmentation and the heads' full weight
    return trainer


def _write(path: Path, result: Result) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
