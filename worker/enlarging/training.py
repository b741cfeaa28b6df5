"""Trains an enlarger by supervision, on pairs of degraded small pictures and large ones."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.bundle.generator import Pixels
from models.faces.pixels import to_network, to_pixels
from models.faces.resizing import resize
from models.networks.enlarger import Enlarger, loss, psnr
from worker.cosine import cosine
from worker.enlarging.degradation import degrade
from worker.enlarging.pairs import Pairs
from worker.rng import random_stream

CROP = 32  # pixels along a side of the small picture
BATCH = 8
LEARNING_RATE, LEARNING_RATE_END = 1e-3, 1e-5
BETAS = (0.9, 0.99)
MEASURED_AT_ONCE = 10  # pictures


@dataclass(frozen=True)
class Plan:
    """What decides an enlarger's weights beside the pairs, on one CPU."""

    width: int
    blocks: int
    fold: int
    steps: int
    seed: int


@dataclass(frozen=True)
class Quality:
    """PSNR in dB on the held-out pictures, degraded as in training.

    psnr_without: what they have when they are resized as without an enlarger.
    """

    psnr: float
    psnr_without: float

    @property
    def is_better(self) -> bool:
        """Whether pictures are better with the enlarger than without."""
        return self.psnr > self.psnr_without


class EnlargerTrainer:
    """The network, its optimiser and its place in the plan."""

    def __init__(self, pairs: Pairs, plan: Plan, device: torch.device, bf16: bool) -> None:
        self.pairs, self.plan, self.device, self.bf16 = pairs, plan, device, bf16
        self.step = 0
        # The weights depend on the seed alone, and the caller's random numbers stay.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_stream(plan.seed, "enlarger").initial_seed())
            network = Enlarger(pairs.scale, plan.width, plan.blocks, plan.fold)
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._adam = torch.optim.Adam(self.network.parameters(), LEARNING_RATE, BETAS)

    @property
    def steps(self) -> int:
        """The steps of the plan."""
        return self.plan.steps

    @property
    def is_finished(self) -> bool:
        """Whether every step of the plan is done."""
        return self.step >= self.plan.steps

    def advance(self) -> float:
        """Take one step; its loss."""
        small, large = self._batch()
        fraction = self.step / self.plan.steps
        for group in self._adam.param_groups:
            group["lr"] = cosine(LEARNING_RATE, LEARNING_RATE_END, fraction)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            prediction = self.network(small)
        error = loss(prediction.float(), large)
        self._adam.zero_grad()
        error.backward()
        self._adam.step()
        self.step += 1
        return error.item()

    def measure(self) -> Quality:
        """Enlarge the held-out pictures."""
        ours, without = [], []
        for small, large in self._held_out():
            with torch.no_grad():
                ours.append(psnr(self.network(small.to(self.device)).float().cpu(), large))
            without.append(psnr(_resize_all(small, large.shape[-1]), large))
        return Quality(float(np.mean(ours)), float(np.mean(without)))

    def state(self) -> dict[str, Any]:
        """What `restore` needs to continue from here: plain tensors and numbers."""
        return {
            "plan": asdict(self.plan),
            "scale": self.pairs.scale,
            "step": self.step,
            "network": self.network.state_dict(),
            "adam": self._adam.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> bool:
        """Continue from a state of the same plan and scale; False for another, which is ignored."""
        if state["plan"] != asdict(self.plan) or state["scale"] != self.pairs.scale:
            return False
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        return True

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Degraded crops (B, 3, C, C) and what they are crops of (B, 3, scale·C, scale·C)."""
        pairs, random = self.pairs, random_stream(self.plan.seed, "enlarger", self.step)
        crop = min(CROP, pairs.resolution)
        high = (pairs.trained_on, *[pairs.resolution - crop + 1] * 2, len(pairs.small), 2)
        choices = [torch.randint(end, (BATCH,), generator=random).tolist() for end in high]
        small, large = [], []
        for number, y, x, method, mirror in zip(*choices, strict=True):
            step = -1 if mirror else 1
            small.append(_crop(pairs.small[method, number], y, x, crop)[:, ::step])
            large.append(_crop(pairs.large[number], y, x, crop, pairs.scale)[:, ::step])
        inputs = degrade(_tensor(np.stack(small)), random)
        return self._to_device(inputs), self._to_device(_tensor(np.stack(large)))

    def _held_out(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole degraded pictures and the larger ones, MEASURED_AT_ONCE at a time."""
        pairs = self.pairs
        for start in range(pairs.trained_on, len(pairs.large), MEASURED_AT_ONCE):
            places = slice(start, start + MEASURED_AT_ONCE)
            random = random_stream(self.plan.seed, "enlarger-held-out", start)
            small = degrade(_tensor(pairs.small[0, places]), random)
            yield small.clamp(-1, 1), _tensor(np.array(pairs.large[places]))

    def _to_device(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)


def _crop(pixels: Pixels, y: int, x: int, crop: int, scale: int = 1) -> Pixels:
    y, x, crop = y * scale, x * scale, crop * scale
    return pixels[y : y + crop, x : x + crop]


def _tensor(pixels: Pixels) -> Tensor:
    """(N, S, S, 3) uint8 → (N, 3, S, S) float32 in [-1, 1]."""
    return to_network(torch.from_numpy(pixels))


def _resize_all(images: Tensor, size: int) -> Tensor:
    """(N, 3, S, S) → (N, 3, size, size), as faces are resized where there is no enlarger."""
    pixels = to_pixels(images).numpy()
    return _tensor(np.stack([np.asarray(resize(one, size)) for one in pixels]))
