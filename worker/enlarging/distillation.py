"""Target batches for distillation: a generator's own pictures, enlarged and reduced again.

An enlarger removes the grain and the frayed edges that a discriminator behind noise does not see,
but only above the generator's resolution. Distillation (arXiv:1503.02531), with the generator and
its enlarger as the teacher, brings that into the generator's own weights: its faces are clean at
its own resolution too, and cost no more to draw.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.modern import Generator
from worker.student import TargetBatch, frozen_copy


class EnlargedPictures:
    """Target batches: for latents, the enlarger's pictures of them, reduced by area."""

    def __init__(
        self,
        generator: Generator,
        enlarger: nn.Module,
        scale: int,
        latents: Callable[[int], Mapping[str, Tensor]],
        bf16: bool = False,
        accumulation: int = 1,
    ) -> None:
        """latents: the z (B, latent), and where styles are mixed `other` and `cut`, of a step.

        accumulation: micro-batches of a step.
        """
        # BatchNorm keeps its statistics, as when faces are served.
        self._generator, self._enlarger = frozen_copy(generator), frozen_copy(enlarger)
        self._scale, self._latents, self._bf16 = scale, latents, bf16
        self._accumulation = accumulation

    @torch.no_grad()
    def __call__(self, step: int) -> TargetBatch:
        """The target batch of a step."""
        latents = self._latents(step)
        parts = zip(*(each.chunk(self._accumulation) for each in latents.values()), strict=True)
        pictures = [self._pictures(dict(zip(latents, part, strict=True))) for part in parts]
        return TargetBatch(latents, torch.cat(pictures))

    def _pictures(self, latents: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(latents["z"].device.type, torch.bfloat16, enabled=self._bf16):
            large = self._enlarger(self._generator(**latents).clamp(-1, 1)).float()
        return F.avg_pool2d(large, self._scale).clamp(-1, 1)
