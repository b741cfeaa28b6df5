"""Faces of a training's generator, as its sheets show them and its measurements judge them."""

import torch
from torch import Tensor, nn

from worker.evaluation.in_training import draw


class Generator(nn.Module):
    """Draws grey, and notes whether cuDNN may use TF32."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.allows_tf32: list[bool] = []

    def forward(self, z: Tensor) -> Tensor:
        self.allows_tf32.append(torch.backends.cudnn.allow_tf32)
        return self.weight.expand(len(z), 3, 8, 8)


def test_faces_are_drawn_in_float32_as_the_published_model_draws_them() -> None:
    generator = Generator()
    assert draw(generator, 4, 60).shape == (60, 8, 8, 3)
    assert generator.allows_tf32 == [False, False]
    assert torch.backends.cudnn.allow_tf32, "training may"
