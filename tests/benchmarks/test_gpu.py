"""The scripts for a lent GPU, run to the end on a CPU."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from models import bootstrap, bundle, runs
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from worker.datasets.packing import pack
from worker.training import memory

ROOT = Path(__file__).parents[2]
gpu: Any = import_module("benchmarks.gpu")


def run(*command: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_gradient_that_rounding_alone_makes_is_not_called_wrong() -> None:
    """Of a score's bias under the relativistic loss there is none."""
    expected = {
        "heads.weight": torch.full((4,), 0.5),
        "heads.bias": torch.zeros(1),
        "generator.weight": torch.full((4,), 1e-3),
    }
    actual = {name: gradient + 1e-6 for name, gradient in expected.items()}
    errors = gpu.relative_errors(actual, expected)
    assert max(errors.values()) < gpu.TOLERANCE["fp32"]
    wrong = {**actual, "generator.weight": torch.full((4,), 2e-4)}
    assert gpu.relative_errors(wrong, expected)["generator.weight"] > gpu.TOLERANCE["bf16"]


def test_a_preset_that_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code says that gradients are wrong, and nothing else."""
    monkeypatch.setattr(memory, "available", lambda device: 1e6)
    result = gpu.try_preset("modern-64", gpu.CPU, with_graphs=False, seconds=1)
    assert "GB" in result["failure"]


@pytest.mark.slow
def test_gradients_are_compared_and_presets_timed(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    run("benchmarks/gpu.py", "--device", "cpu", "--seconds", "8", "--out", str(path))
    result = json.loads(path.read_text())
    (gradients,) = result["gradients"]
    assert gradients["is_right"]
    assert gradients["fp32"]["largest"] == 0
    assert 0 < gradients["bf16"]["largest"] < 0.4
    assert any(name.startswith("generator.") for name in gradients["fp32"]["errors"])
    assert [each["replayed"] for each in result["speed"]] == [False, True]
    assert all(each["images_per_second"] > 0 for each in result["speed"])


def test_the_documented_command_goes_on_from_a_model_with_its_labels() -> None:
    text = (ROOT / "docs/training.md").read_text()
    (path,) = re.findall(r"--from (models/shipped/\w+)", text)
    recipe = bundle.read_card(ROOT / path)["recipe"]
    for name in ("labels", "hidden_labels"):
        (value,) = re.findall(rf"--set '{name}=(\[.*, .*\])'", text)
        assert json.loads(value) == recipe[name]


def pictures(folder: Path) -> Path:
    folder.mkdir()
    for number in range(16):
        Image.new("RGB", (16, 16), (10 * number, 255 - 10 * number, 90)).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.mark.slow
def test_a_run_until_a_deadline_is_published_at_home(tmp_path: Path, settings: Settings) -> None:
    """`train`, then `import`, then `kao train --resume`; and a second run from its snapshot."""
    source = pictures(tmp_path / "faces")
    packed_folder = pack(source, 16, settings.cache).folder
    name, out = json.dumps(f"path:{source}"), tmp_path / "run"
    script = "benchmarks/gpu_train.py"
    train = [
        script,
        "train",
        "--device",
        "cpu",
        "--packed",
        str(packed_folder),
        "--preset",
        "smoke",
    ]
    train += ["--set", f"dataset={name}", "--seconds", "8"]
    run(*train, "--out", str(out))
    assert (out / "average.safetensors").stat().st_size > 0
    home = {"KAO_HOME": str(settings.home)}
    (line,) = run(script, "import", str(out), **home).splitlines()
    *_, identifier = line.split()
    run("-m", "kao", "train", "--resume", identifier, **home)
    row = runs.get(bootstrap.prepare(settings), identifier)
    assert row["state"] == "succeeded"
    card = bundle.read_card(Registry(connect(settings), settings.blobs).fetch(row["version"]))
    loss_rows = [json.loads(text) for text in (out / "losses.jsonl").read_text().splitlines()]
    assert card["training"]["images"] >= max([each["images"] for each in loss_rows], default=8)
    snapshot = next((settings.home / "store").rglob("*.pt"))
    again = run(*train, "--from", str(snapshot), "--out", str(tmp_path / "again"))
    assert "tensors of the discriminator are taken over" in again
