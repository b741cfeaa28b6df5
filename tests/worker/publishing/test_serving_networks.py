"""The form for serving computes what the trained network computes, to rounding."""

import pytest
import torch
from torch import nn

from models.networks import modern
from worker.publishing.serving_networks import SERVING_CLASSES, serving_form


def randomise(normalise: nn.BatchNorm2d) -> None:
    """Statistics unlike those of a new layer."""
    assert normalise.running_mean is not None
    assert normalise.running_var is not None
    normalise.running_mean.normal_()
    normalise.running_var.uniform_(0.5, 2)


@pytest.mark.parametrize("side", [4, 7])
def test_a_block_draws_the_same_in_both_forms(side: int) -> None:
    block = modern.Block(6, 5, 8).eval()
    randomise(block.normalise)
    x, w = torch.randn(2, 6, side, side), torch.randn(2, 8)
    with torch.no_grad():
        features = block(x, w)
        with serving_form(block):
            served_features = block(x, w)
    assert features.shape == (2, 5, 2 * side, 2 * side)
    # The borders are the places where a wrong padding would show.
    assert torch.allclose(served_features, features, atol=1e-5)


def test_a_synthesis_draws_the_same_in_both_forms() -> None:
    synthesis = modern.Synthesis(16, 8, 4, residuals=2).eval()
    for module in synthesis.modules():
        if isinstance(module, modern.Block | modern.Residual):
            randomise(module.normalise)
        if isinstance(module, modern.Residual):
            nn.init.normal_(module.gain)
    w = torch.randn(2, synthesis.layers, 8)
    with torch.no_grad():
        images = synthesis(w)
        with serving_form(synthesis):
            served_images = synthesis(w)
    assert not torch.equal(served_images, images), "the same computation"
    assert torch.allclose(served_images, images, atol=1e-4)


def test_a_critic_judges_each_face_alone() -> None:
    discriminator = modern.Discriminator(16, 4).eval()
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad(), serving_form(discriminator):
        scores = discriminator(images)
        alone = torch.cat([discriminator(image[None]) for image in images])
    assert torch.allclose(scores, alone, atol=1e-5)


def test_a_network_has_its_own_classes_again_after_an_error() -> None:
    generator = modern.Generator(16, 8, 8, 4)
    classes = [type(module) for module in generator.modules()]
    with serving_form(generator):
        assert type(generator.synthesis) is SERVING_CLASSES[modern.Synthesis]
    with pytest.raises(RuntimeError), serving_form(generator):
        raise RuntimeError
    assert [type(module) for module in generator.modules()] == classes
