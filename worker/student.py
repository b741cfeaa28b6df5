"""Trains a copy of a generator, the student, to draw given pictures for given latents."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from models.networks.enlarger import loss
from models.networks.modern import Generator
from worker.cosine import cosine
from worker.hardware.devices import transfer
from worker.rng import random_stream

LEARNING_RATE = 4e-4
WARM_UP = 20  # steps in which the learning rate rises, while Adam's averages are of few gradients
BETAS = (0.9, 0.99)
MEASURED_BATCHES = 4
BLENDS = 0.25  # pairs of styles that are blended for each picture of a batch, and their weight
NEAREST = 0.1  # the least share of either style in a blend

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class TargetBatch:
    """Latents, as `Generator.forward` takes them by name, and the picture to draw for each.

    pictures: (B, 3, S, S) float32 in [-1, 1].
    """

    latents: Mapping[str, Tensor]
    pictures: Tensor

    def split(self, count: int) -> "list[TargetBatch]":
        """Micro-batches: every count-th row each, so that rows which are blended stay together."""
        return [
            TargetBatch(
                {name: values[part::count] for name, values in self.latents.items()},
                self.pictures[part::count],
            )
            for part in range(count)
        ]


# Gives the target batch of a step, by its number.
Teacher = Callable[[int], TargetBatch]


@dataclass(frozen=True)
class Plan:
    """What decides the weights, beside the generator and the teacher.

    steps: of the student. start: those of the generator's training before it. mapping: whether the
    mapping network learns too; where it does not, each seed keeps its styles. Where it does, the
    student also learns what lies between two styles, as morphs and families draw it: its target is
    what the generator drew there before.
    """

    steps: int
    start: int
    mapping: bool


class StudentTraining:
    """The student, its optimiser and its place in the plan."""

    def __init__(
        self,
        generator: Generator,
        teacher: Teacher,
        plan: Plan,
        bf16: bool = False,
        accumulation: int = 1,
    ) -> None:
        """accumulation: micro-batches of a step."""
        self.plan, self.step, self.bf16, self.accumulation = plan, 0, bf16, accumulation
        self._teacher = teacher
        self._before = frozen_copy(generator)
        # BatchNorm keeps its statistics, as when faces are served.
        self.student = frozen_copy(generator)
        learning: nn.Module = self.student if plan.mapping else self.student.synthesis
        learning.requires_grad_(True)
        self._adam = torch.optim.Adam(learning.parameters(), LEARNING_RATE, BETAS)

    @property
    def steps(self) -> int:
        """The steps of the plan."""
        return self.plan.steps

    @property
    def is_finished(self) -> bool:
        """Whether every step of the plan is done."""
        return self.step >= self.steps

    def advance(self) -> float:
        """Take one step; its loss."""
        rate = cosine(LEARNING_RATE, 0.0, self.step / self.steps)
        for group in self._adam.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / WARM_UP)
        batch = self._teacher(self.plan.start + self.step)
        self._adam.zero_grad(set_to_none=True)
        errors = []
        for place, part in enumerate(batch.split(self.accumulation)):
            error = self._error(part, place) / self.accumulation
            torch.autograd.backward(error)
            errors.append(error.detach())
        self._adam.step()
        self.step += 1
        return torch.stack(errors).sum().item()

    def _error(self, part: TargetBatch, place: int) -> Tensor:
        """The loss of the micro-batch at this place."""
        error = loss(self._draw(self.student, part).float(), part.pictures)
        return error + BLENDS * self._blend_error(part, place) if self.plan.mapping else error

    @torch.no_grad()
    def measure(self) -> tuple[float, float]:
        """How far the student's pictures, and the generator's, are from the targets.

        The mean absolute differences in levels of 255, over batches that no step trained on.
        """
        differences = []
        for number in range(MEASURED_BATCHES):
            batch = self._teacher(self.plan.start + self.steps + number)
            for part in batch.split(self.accumulation):
                pictures = (self._draw(each, part) for each in (self.student, self._before))
                differences.append([(each - part.pictures).abs().mean() for each in pictures])
        student, before = (127.5 * torch.tensor(differences).mean(0)).tolist()
        return student, before

    def _draw(self, network: Generator, batch: TargetBatch) -> Tensor:
        device = batch.pictures.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            pictures: Tensor = network(**batch.latents)
        return pictures

    def _blend_error(self, part: TargetBatch, place: int) -> Tensor:
        """The loss of the student's pictures between two styles from those of the generator."""
        count = max(1, int(BLENDS * len(part.pictures)))
        rows = {name: values[: 2 * count] for name, values in part.latents.items()}
        random = random_stream(0, "blends", self.plan.start + self.step)
        shares = torch.rand(self.accumulation * count, 1, 1, generator=random)
        share = NEAREST + (1 - 2 * NEAREST) * shares[place :: self.accumulation]
        share = transfer(share, part.pictures.device)

        def between(network: Generator) -> Tensor:
            styles = network.styles(**rows)
            with torch.autocast(styles.device.type, torch.bfloat16, enabled=self.bf16):
                pictures: Tensor = network.synthesis(styles[:count].lerp(styles[count:], share))
            return pictures.float()

        with torch.no_grad():
            target = between(self._before).clamp(-1, 1)
        return loss(between(self.student), target)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to continue from here: plain tensors and numbers."""
        return {
            "plan": asdict(self.plan),
            "step": self.step,
            "student": self.student.state_dict(),
            "adam": self._adam.state_dict(),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from a state of the same plan; a state of another plan is ignored."""
        if state is not None and state["plan"] == asdict(self.plan):
            self.step = state["step"]
            self.student.load_state_dict(state["student"])
            self._adam.load_state_dict(state["adam"])


def frozen_copy(network: Network) -> Network:
    """A copy that computes as when faces are served, in the layout that CPUs compute fastest."""
    duplicate = copy.deepcopy(network).eval().requires_grad_(False)
    # torch's stubs have `to` without memory_format only.
    return duplicate.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
