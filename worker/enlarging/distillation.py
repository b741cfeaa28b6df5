"""Trains a generator to draw its own pictures as they are after enlarging and reducing them.

An enlarger removes the grain and the frayed edges that a discriminator behind noise does not see,
but only above the generator's resolution. Distillation (arXiv:1503.02531), with the generator and
its enlarger as the teacher, brings that into the generator's own weights: its faces are clean at
its own resolution too, and cost no more to draw.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.enlarger import loss
from models.networks.modern import Generator
from worker.learning_rates import cosine

LEARNING_RATE = 4e-4
WARM_UP = 20  # steps in which the learning rate rises, while Adam's averages are of few gradients
BETAS = (0.9, 0.99)
MEASURED_BATCHES = 4

Network = TypeVar("Network", bound=nn.Module)
Latents = Callable[[int], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Plan:
    """What decides the weights, beside the two networks.

    steps: of the distillation. start: those of the generator's training before it.
    """

    steps: int
    start: int


class Distillation:
    """The student, its optimiser and its place in the plan.

    Only the synthesis is trained: styles stay as they are, so that each seed keeps its face.
    """

    def __init__(
        self,
        generator: Generator,
        enlarger: nn.Module,
        scale: int,
        latents: Latents,
        plan: Plan,
        bf16: bool = False,
    ) -> None:
        """latents: the z (B, latent), and where styles are mixed `other` and `cut`, of a step."""
        self.plan, self.step, self.bf16 = plan, 0, bf16
        self.scale, self._latents = scale, latents
        # BatchNorm keeps its statistics, as when faces are served.
        self._teacher = _frozen_copy(generator)
        self._enlarger = _frozen_copy(enlarger)
        self.student = _frozen_copy(generator)
        self.student.synthesis.requires_grad_(True)
        self._adam = torch.optim.Adam(self.student.synthesis.parameters(), LEARNING_RATE, BETAS)

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
        styles, target = self._batch(self.step)
        with self._precision(styles.device):
            pictures = self.student.synthesis(styles)
        error = loss(pictures.float(), target)
        self._adam.zero_grad(set_to_none=True)
        error.backward()
        self._adam.step()
        self.step += 1
        return error.item()

    @torch.no_grad()
    def measure(self) -> tuple[float, float]:
        """How far the student's and the teacher's pictures are from the target, in levels of 255.

        The mean absolute difference over pictures of latents that no step trained on.
        """
        differences = []
        for number in range(MEASURED_BATCHES):
            styles, target = self._batch(self.steps + number)
            pictures = (each.synthesis(styles) for each in (self.student, self._teacher))
            differences.append([(each - target).abs().mean() for each in pictures])
        student, teacher = (127.5 * torch.tensor(differences).mean(0)).tolist()
        return student, teacher

    @torch.no_grad()
    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Styles (B, rows, style), and the target picture of each: (B, 3, S, S)."""
        styles = self._teacher.styles(**self._latents(self.plan.start + number))
        with self._precision(styles.device):
            large = self._enlarger(self._teacher.synthesis(styles).clamp(-1, 1)).float()
        return styles, F.avg_pool2d(large, self.scale).clamp(-1, 1)

    def _precision(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)

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


def _frozen_copy(network: Network) -> Network:
    """A copy that computes as when faces are served, in the layout that CPUs compute fastest."""
    duplicate = copy.deepcopy(network).eval().requires_grad_(False)
    # torch's types know `to` without a layout alone.
    return duplicate.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
