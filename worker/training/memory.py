"""How much memory a training needs, estimated before it starts.

The step runs once on tensors without data (device "meta"), where each allocation is counted and
nothing is computed: the same operations as on the device, in a fraction of a second.
"""

import copy
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.errors import KaoError
from models.memory import available as machine_memory
from worker.training.feature_discriminator import FeatureDiscriminator
from worker.training.inputs import Inputs, split
from worker.training.step import Step
from worker.training.trainer import Trainer

GB = 10**9
META = torch.device("meta")
# CUDA's context, its kernels, and the workspaces among which cuDNN chooses.
GPU_RESERVE = 1.2 * GB
# Gaps between blocks that an allocator cannot use.
GAPS = 1.1
# Pixels of a batch: a step of fewer takes some 10 MB, and not the second that an estimate takes.
FEW_PIXELS = 2**17
ADAM_COPIES = 2  # mean and squared mean of each gradient


@dataclass(frozen=True)
class Estimate:
    """Bytes that a training needs, and that the device has."""

    needs: float
    available: float

    def __str__(self) -> str:
        return f"{self.needs / GB:.1f} of {self.available / GB:.1f} GB"

    @property
    def fits(self) -> bool:
        """Whether the device has so much."""
        return self.needs <= self.available


def check(trainer: Trainer) -> Estimate | None:
    """Estimate the memory of a training; None where it is so small that it does not matter.

    Raises KaoError where the device has too little.
    """
    recipe = trainer.recipe
    if recipe.batch * recipe.resolution**2 < FEW_PIXELS:
        return None
    estimate = Estimate(bytes_needed(trainer), available(trainer.device))
    if not estimate.fits:
        raise KaoError(_refusal(trainer, estimate))
    return estimate


def bytes_needed(trainer: Trainer, accumulation: int | None = None) -> float:
    """Bytes that training takes at most. accumulation: instead of the recipe's."""
    inputs = _largest_inputs(trainer)
    step = trainer.step_program
    if accumulation is not None:
        step = replace(step, accumulation=accumulation)
    networks = [trainer.generator, trainer.discriminator, trainer.average]
    trained_networks = [trainer.generator, trainer.discriminator]
    if trainer.features is not None:
        networks += [trainer.features.trunk, trainer.heads]
        trained_networks += [trainer.heads]
    constant = sum(map(_size, networks)) + ADAM_COPIES * sum(map(_size, trained_networks))
    # The inputs of one step, and the buffers that a graph reads.
    constant += 2 * sum(map(_bytes, inputs.values())) + trainer.reals.resident_bytes
    reserve = GPU_RESERVE if trainer.device.type == "cuda" else 0.0
    return GAPS * (constant + peak(step, inputs)) + reserve


def available(device: torch.device) -> float:
    """Bytes that this process may use on the device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device))
    return float(machine_memory())


def peak(step: Step, inputs: Inputs) -> int:
    """The most bytes that one step allocates beside weights and inputs, gradients included."""
    networks: dict[str, nn.Module] = {
        name: copy.deepcopy(getattr(step, name)).to(META) for name in ("generator", "discriminator")
    }
    features = None
    if step.features is not None:
        heads = copy.deepcopy(step.features.heads).to(META)
        trunk = copy.deepcopy(step.features.trunk).to(META)
        networks["heads"] = heads
        features = FeatureDiscriminator(trunk, heads, step.features.bf16)
    on_meta = replace(
        step,
        generator=networks["generator"],
        discriminator=networks["discriminator"],
        features=features,
        zero_gradients=lambda name: networks[name].zero_grad(set_to_none=True),
        update=lambda name: None,
    )
    if step.accumulation > 2:
        # All micro-batches are alike; the second one's gradients are added to the first one's.
        inputs = split(inputs, step.accumulation // 2)[0]
        on_meta = replace(on_meta, accumulation=2)
    on_meta_inputs = {name: values.to(META) for name, values in inputs.items()}
    allocations = Allocations()
    with allocations:
        on_meta.run(on_meta_inputs)
    return allocations.most


class Allocations(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, and the most at any time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.most = 0, 0
        self._counted_storages: set[int] = set()

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._counted_storages:
            return
        self._counted_storages.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._counted_storages.discard(key)
        self.now -= size


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, list | tuple):
        for each in result:
            yield from _tensors(each)


def _largest_inputs(trainer: Trainer) -> dict[str, Tensor]:
    """The inputs of a step that penalises slopes and augments, if any step of the recipe does."""
    inputs = trainer.inputs.sample(trainer.step, trainer.strongest_augmentation)
    one = torch.ones((), device=trainer.device)
    if trainer.recipe.gamma:
        inputs["penalty"] = one
    if trainer.features is not None:
        inputs["feature_weight"] = one
    return inputs


def _size(network: nn.Module) -> int:
    return sum(map(_bytes, [*network.parameters(), *network.buffers()]))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _refusal(trainer: Trainer, estimate: Estimate) -> str:
    """What to change so that a training fits."""
    device = "GPU" if trainer.device.type == "cuda" else "machine"
    text = f"This recipe needs about {estimate.needs / GB:.1f} GB and the {device} has "
    text += f"{estimate.available / GB:.1f}. "
    batch, parts = trainer.recipe.batch, 2 * trainer.recipe.accumulation
    while batch % (parts * trainer.share.world) == 0 and batch > parts:
        needs = bytes_needed(trainer, parts)
        if needs <= estimate.available:
            return text + (
                f"With `accumulation` {parts} it needs about {needs / GB:.1f} (the batch in "
                f"{parts} parts, the same `batch`); or lower `batch`."
            )
        parts *= 2
    return text + "Lower `batch`, `discriminator_width`, `width` or `resolution`."
