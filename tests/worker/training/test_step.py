"""The training step: the same weights however it is executed."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from models.errors import InvalidRecipe
from models.recipes.recipe import resolve
from tests.support import reference_training
from tests.support.reference_training import CASES, CPU, STEPS, digest, train, trainer
from worker.training import frozen_features, memory, optimizers, snapshots
from worker.training.execution import Buffered
from worker.training.loss_log import LossLog
from worker.training.step import Step
from worker.training.trainer import Trainer

RECORDED = json.loads(Path("tests/fixtures/training/steps.json").read_text())
SLOW = {"features"}  # seconds


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums of several threads round in another order."""
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES],
)
def test_weights_after_20_steps_are_those_of_the_loop_before_graphs(name: str) -> None:
    """Bit for bit on the machine that recorded them, and near on others, which round otherwise."""
    fields, bf16 = CASES[name]
    if "feature_weight" in fields and not frozen_features.is_available():
        pytest.skip("The frozen features' weights are not installed.")
    one, expected = trainer(fields, bf16), RECORDED["cases"][name]
    losses = train(one)
    for mine, recorded in zip(losses[:: STEPS - 1], expected["losses"], strict=True):
        assert mine.keys() == recorded.keys()
        for each in mine.keys() - {"d_accuracy"}:
            assert mine[each] == pytest.approx(recorded[each], rel=0.1, abs=0.05), each
    if reference_training.machine() == RECORDED["machine"]:
        assert digest(one) == expected["digest"]


@pytest.mark.parametrize("name", ["everything", "bf16"])
def test_inputs_in_buffers_and_losses_read_late_change_nothing(name: str) -> None:
    """What a GPU does so that graphs can replay a step, done on a CPU."""
    fields, bf16 = CASES[name]
    plain, buffered = trainer(fields, bf16), trainer(fields, bf16)
    buffered.execution = Buffered(buffered._run_step)
    buffered.losses = LossLog(CPU, every=5)
    expected = train(plain, steps=10)
    buffered.begin(1000, 1000)
    losses = [each for step in range(10) for each in buffered.train(step / STEPS)]
    assert losses == expected
    assert digest(buffered) == digest(plain)


def test_losses_come_when_the_log_is_full() -> None:
    one = trainer({})
    one.losses = LossLog(CPU, every=3)
    assert [len(one.train()) for _ in range(7)] == [0, 0, 3, 0, 0, 3, 0]
    assert len(one.losses.read()) == 1
    assert one.losses.read() == []


def gradients(one: Trainer) -> dict[str, Tensor]:
    """Those of the next step."""
    gradient_of: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        network = getattr(one, name)
        for each, parameter in network.named_parameters():
            if parameter.grad is not None:
                gradient_of[f"{name}.{each}"] = parameter.grad.clone()

    object.__setattr__(one.step_program, "update", keep)
    # BatchNorm's statistics are those of a micro-batch; the stored ones are the same for all.
    one.generator.eval()
    one.advance()
    return gradient_of


@pytest.mark.parametrize("parts", [2, 4])
def test_gradients_of_micro_batches_are_those_of_the_batch(parts: int) -> None:
    fields = {
        "batch": 32,
        "penalty": "r1+r2",
        "mixing": 0.5,
        "flip": True,
        "noise": 8.0,
        "labels": ["hair"],
        "label_weight": 1.0,
    }
    whole = gradients(trainer(fields))
    split = gradients(trainer({**fields, "accumulation": parts}))
    assert whole.keys() == split.keys()
    for name, gradient in whole.items():
        scale = gradient.abs().max().clamp(min=1e-6)
        assert torch.allclose(split[name] / scale, gradient / scale, atol=1e-4), name


def test_a_run_of_micro_batches_resumes_exactly(tmp_path: Path) -> None:
    whole, first, second = (trainer({"accumulation": 2}) for _ in range(3))
    for _ in range(6):
        whole.advance()
    for _ in range(2):
        first.advance()
    name = snapshots.write(tmp_path, first.step, first.state())
    second.restore(snapshots.read(tmp_path, name))
    for _ in range(4):
        second.advance()
    assert digest(second) == digest(whole)


@pytest.mark.parametrize(("batch", "accumulation"), [(8, 3), (8, 8)])
def test_a_batch_that_does_not_divide_is_refused(batch: int, accumulation: int) -> None:
    with pytest.raises(InvalidRecipe, match="multiple of `accumulation`"):
        resolve({"preset": "smoke", "batch": batch, "accumulation": accumulation})


def test_an_optimizer_s_state_from_a_gpu_loads_on_a_cpu() -> None:
    """There the learning rate is a tensor, and Adam is capturable."""
    one, other = trainer({}), trainer({})
    one.advance()
    state = one.optimizers["generator"].state_dict()
    for group in state["param_groups"]:
        group |= {"lr": torch.tensor(group["lr"]), "capturable": True}
    optimizers.load_state(other.optimizers["generator"], state)
    (group,) = other.optimizers["generator"].param_groups
    assert isinstance(group["lr"], float)
    assert group["capturable"] is False
    other.advance()


def test_an_optimizer_s_state_from_a_cpu_loads_on_a_gpu() -> None:
    """A graph reads the learning rate's tensor, so it must stay the same one."""
    one = trainer({})
    one.advance()
    network, rate = one.generator, torch.tensor(0.5)
    gpu = torch.optim.Adam(network.parameters(), lr=rate, fused=True, capturable=True)
    optimizers.load_state(gpu, optimizers.state(one.optimizers["generator"]))
    (group,) = gpu.param_groups
    assert group["lr"] is rate
    assert float(rate) == pytest.approx(one.recipe.generator.learning_rate)
    assert group["capturable"] is True
    states = [gpu.state[parameter] for parameter in network.parameters()]
    assert all(state["step"].dtype == torch.float32 for state in states)


def test_a_restored_trainer_forgets_its_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimisers' tensors are replaced, which a graph would go on to write into."""
    one, resets = trainer({}), []
    monkeypatch.setattr(one.execution, "reset", lambda: resets.append(one.step))
    one.restore(one.state())
    assert resets == [0]


def test_a_step_needs_no_number_from_the_device() -> None:
    """On tensors without data every attempt to read one raises."""
    fields, _ = CASES["everything"]
    one = trainer(fields)
    one.begin(1000, 1000)
    inputs = {name: values.to("meta") for name, values in one.step_inputs().items()}
    program = one.step_program
    ignored_calls = {"zero_gradients": lambda name: None, "update": lambda name: None, "bf16": True}
    on_meta = Step(
        **{
            **program.__dict__,
            **ignored_calls,
            "generator": program.generator.to("meta"),
            "discriminator": program.discriminator.to("meta"),
        }
    )
    losses = on_meta.run(inputs)
    assert {"r1", "r2", "d_missed", "g_missed", "diversity"} <= losses.keys()
    assert all(value.is_meta for value in losses.values())


class HostTensors(memory.Allocations):
    """Notes operations that read or make a tensor on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor) and value.device == CPU:
                self.operations.add(str(operation))
        return result


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES],
)
def test_a_step_takes_no_tensor_from_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy from the host's memory cannot be recorded in a CUDA graph."""
    fields, bf16 = CASES[name]
    one, mode = trainer(fields, bf16), HostTensors()
    one.begin(1000, 1000)
    monkeypatch.setattr(memory, "Allocations", lambda: mode)
    memory.peak(one.step_program, one.step_inputs())
    assert not mode.operations
