"""The tutorial's networks are pinned; ours keep their promises at every size."""

import pytest
import torch

from models.networks import build, classic, modern
from models.recipes import RESOLUTIONS, resolve


def shapes(network, x):
    seen = []
    for layer in network.layers:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            seen.append(tuple(x.shape[1:]))
    return seen


def test_classic_is_the_tutorials_generator():
    network = classic.Generator()
    assert sum(p.numel() for p in network.parameters()) == 3_578_438
    z = torch.zeros(2, 100)
    assert shapes(network, z[:, :, None, None]) == [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (3, 96, 96),
    ]
    assert network(torch.randn(4, 100)).abs().max() <= 1


def test_classic_is_the_tutorials_discriminator():
    network = classic.Discriminator()
    assert sum(p.numel() for p in network.parameters()) == 2_767_424
    assert shapes(network, torch.zeros(2, 3, 96, 96)) == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (1, 1, 1),
    ]
    scores = network(torch.randn(4, 3, 96, 96))
    assert scores.shape == (4,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_modern_draws_every_size(resolution):
    recipe = resolve(
        {"preset": "smoke", "resolution": resolution, "width": 4, "discriminator_width": 4}
    )
    images = build.generator(recipe)(torch.randn(2, recipe.latent))
    assert images.shape == (2, 3, resolution, resolution)
    assert build.discriminator(recipe)(images).shape == (2,)


def test_modern_s_discriminator_has_no_batchnorm():
    network = build.discriminator(resolve({"preset": "modern-64"}))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_an_image_does_not_depend_on_its_batch_mates():
    network = build.generator(resolve({"preset": "smoke"}))
    network(torch.randn(8, 16))
    network.eval()
    z = torch.randn(8, 16)
    assert torch.allclose(network(z)[3], network(z[3:4])[0], atol=1e-6)


def test_the_average_style_follows_w():
    mapping = modern.Mapping(16, 16)
    with torch.no_grad():
        for _ in range(2000):
            mapping(torch.randn(64, 16))
        before = mapping.average.clone()
        mean = mapping.eval()(torch.randn(8192, 16)).mean(0)
    assert torch.allclose(before, mean, atol=0.02)
    assert torch.equal(mapping.average, before), "evaluation must not move it"


def test_the_presets_generator_is_cheap_enough_to_serve():
    """At most 0.3 GMAC an image: about 75 faces a second a core."""
    network = build.generator(resolve({"preset": "modern-64"})).eval()
    macs = 0

    def count(module, inputs, output):
        nonlocal macs
        macs += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    network(torch.zeros(1, 128))
    assert 50e6 < macs < 300e6
