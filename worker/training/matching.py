"""How far a drawn image is from the real one that has its labels.

Where labels say all that a picture shows, as in pictures put together from a few parts, there is
one right image for a face's labels. A generator learns its parts from a discriminator only as far
as that distinguishes them, and every one from a difference of pixels beside it, as in pix2pix
(arXiv:1611.07004 §3.1).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from worker.student import TargetBatch
from worker.training.inputs import InputSampler

SCALES = 3  # the image, its half and its quarter: the smaller ones judge areas, not lines


def distance(images: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of images (N, 3, S, S), averaged over SCALES; a scalar."""
    difference = images - real
    differences = []
    for _ in range(SCALES):
        differences.append(difference.abs().mean())
        difference = F.avg_pool2d(difference, 2)
    return torch.stack(differences).mean()


class LabelledPictures:
    """Target batches: the set's own pictures, for latents with their labels.

    Without a discriminator: where its labels say all of a picture, a generator that has learnt
    varied faces beside one learns what is left of each part faster by the difference alone.
    """

    def __init__(self, inputs: InputSampler) -> None:
        """inputs: of a recipe with `match_weight`, so that latents have the real images' labels."""
        self._inputs = inputs

    def __call__(self, step: int) -> TargetBatch:
        """The target batch of a step."""
        return TargetBatch(self._inputs.latents(step), self._inputs.reals.batch(step))
