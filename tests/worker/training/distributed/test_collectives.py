"""Two processes give the gradients of one at the same global batch."""

import atexit
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from models.errors import KaoError
from models.settings import Settings
from worker.training import __main__ as process
from worker.training.distributed import collectives
from worker.training.distributed.collectives import Share

ONE_STEP = """
import atexit, os, sys
from pathlib import Path
import numpy as np, torch
from models.recipes.recipe import resolve
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.trainer import Trainer

@atexit.register  # ahead of what join registers, so called after it
def none_stay():
    # A thread of gloo's that outlives the interpreter aborts the process, one time in many.
    if any("gloo" in comm.read_text() for comm in Path("/proc/self/task").glob("*/comm")):
        os._exit(3)

torch.set_num_threads(1)
cpu = torch.device("cpu")
share = collectives.join(cpu)
recipe = resolve({"preset": "smoke", "batch": 32, "penalty_every": 1, "penalty": "r1+r2",
                  "mixing": 0.5, "flip": True, "augment": 0.8})
data = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
trainer = Trainer(recipe, Reals(data, recipe, cpu, share), cpu, False, share)
trainer.begin(10_000, 10_000)  # far enough for augmentation
gradients = {}

def kept(name):
    network = getattr(trainer, name)
    collectives.average_gradients(network, share)
    gradients[name] = {k: p.grad.clone() for k, p in network.named_parameters()
                       if p.grad is not None}

object.__setattr__(trainer.step_program, "update", kept)
trainer.advance()
told = collectives.agree([float(share.rank + 7)], share)
assert told == [7.0], told
if share.rank == 0:
    statistics = {k: v for k, v in trainer.generator.state_dict().items()
                  if "running" in k or k == "mapping.average"}
    torch.save({**gradients, "statistics": statistics}, sys.argv[1])
"""


def gradients(world: int, path: Path, script: Path) -> dict[str, dict[str, Tensor]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "PYTHONPATH": str(Path(__file__).parents[4]),
    }
    children = [
        subprocess.Popen(
            [sys.executable, str(script), str(path)], env={**environment, "RANK": str(rank)}
        )
        for rank in range(world)
    ]
    assert [child.wait(timeout=120) for child in children] == [0] * world
    states: dict[str, dict[str, Tensor]] = torch.load(path, weights_only=True)
    return states


def test_two_gloo_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    script = tmp_path / "one_step.py"
    script.write_text(ONE_STEP)
    alone = gradients(1, tmp_path / "one.pt", script)
    shared = gradients(2, tmp_path / "two.pt", script)
    for part in ("discriminator", "generator", "statistics"):
        assert alone[part].keys() == shared[part].keys()
        assert alone[part]
        for name, value in alone[part].items():
            torch.testing.assert_close(shared[part][name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(KaoError, match="multiple of 3"):
        collectives.check(32, Share(0, 3))
    with pytest.raises(KaoError, match="at least 16"):  # one row has no spread
        collectives.check(8, Share(0, 8))


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda", "cpu:gloo,cuda:nccl")])
def test_processes_agree_through_the_cpu_and_wait_as_long_as_a_measurement_may_take(
    device: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(
        distributed,
        "init_process_group",
        lambda backend, **more: options.update(more, backend=backend),
    )
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(atexit, "register", lambda _function: None)
    share = collectives.join(torch.device(device))
    assert options["timeout"] >= timedelta(hours=1)
    assert options["backend"] == backend
    shared: list[Tensor] = []
    monkeypatch.setattr(distributed, "broadcast", lambda tensor, src: shared.append(tensor))
    assert collectives.agree([7.0], share) == [7.0]
    assert shared[0].device.type == "cpu"


@pytest.mark.parametrize(
    ("requested", "gpus", "count"),
    [
        pytest.param(None, 0, 1, id="CPU"),
        pytest.param(3, 0, 3, id="CPU as requested"),
        pytest.param(None, 2, 2, id="one a GPU"),
        pytest.param(1, 2, 1, id="fewer than GPUs"),
        pytest.param(3, 2, 2, id="more than GPUs"),
    ],
)
def test_each_process_has_a_gpu_of_its_own(
    requested: int | None, gpus: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert process._process_count(Settings(processes=requested)) == count


def test_gpus_that_cuda_cannot_use_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert process._process_count(Settings(processes=None)) == 1


def test_every_row_belongs_to_one_process() -> None:
    rows = torch.arange(12)
    shares = [rows[Share(rank, 3).rows].tolist() for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows.tolist()
    assert {len(share) for share in shares} == {4}
