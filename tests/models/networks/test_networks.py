"""The tutorial's networks are pinned; ours keep their promises at every size."""

import pytest
import torch
from torch import Tensor, nn

from models.faces.attributes import Attribute
from models.networks import build, classic, modern
from models.recipes.presets import PRESETS
from models.recipes.recipe import RESOLUTIONS, resolve


def shapes(network: classic.Generator | classic.Discriminator, x: Tensor) -> list[tuple[int, ...]]:
    outputs = []
    for layer in network.layers:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            outputs.append(tuple(x.shape[1:]))
    return outputs


def test_classic_is_the_tutorials_generator() -> None:
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


def test_classic_is_the_tutorials_discriminator() -> None:
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
def test_modern_draws_every_size(resolution: int) -> None:
    recipe = resolve(
        {"preset": "smoke", "resolution": resolution, "width": 4, "discriminator_width": 4}
    )
    images = build.generator(recipe)(torch.randn(2, recipe.latent))
    assert images.shape == (2, 3, resolution, resolution)
    assert build.discriminator(recipe)(images).shape == (2,)


def test_modern_s_discriminator_has_no_batchnorm() -> None:
    network = build.discriminator(resolve({"preset": "modern-64"}))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_an_image_does_not_depend_on_its_batch_mates() -> None:
    network = build.generator(resolve({"preset": "smoke"}))
    network(torch.randn(8, 16))
    network.eval()
    z = torch.randn(8, 16)
    assert torch.allclose(network(z)[3], network(z[3:4])[0], atol=1e-6)


def test_the_average_style_follows_w() -> None:
    mapping = modern.Mapping(16, 16)
    with torch.no_grad():
        for _ in range(2000):
            mapping(torch.randn(64, 16))
        before = mapping.average.clone()
        mean = mapping.eval()(torch.randn(8192, 16)).mean(0)
    assert torch.allclose(before, mean, atol=0.02)
    assert torch.equal(mapping.average, before), "evaluation must not move it"


@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("modern")])
def test_a_presets_generator_is_cheap_enough_to_serve(preset: str) -> None:
    """At most 0.3 GMAC an image: about 75 faces a second a core."""
    network = build.generator(resolve({"preset": preset})).eval()
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        # A transposed convolution multiplies at every place that it reads, the others where
        # they write.
        places = inputs[0] if isinstance(module, torch.nn.ConvTranspose2d) else output
        weight = module.get_parameter("weight")
        macs += weight.numel() * (places[0, 0].numel() if places.dim() == 4 else 1)

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
            module.register_forward_hook(count)
    network(torch.randn(1, 128))
    assert 50e6 < macs < 300e6, macs


def test_kernels_of_the_first_version_are_read() -> None:
    """It doubled each pixel and then convolved by 3×3."""
    kernel, x = torch.randn(5, 6, 3, 3), torch.randn(2, 6, 4, 4)
    block = modern.Block(6, 5, 8)
    block.load_state_dict({**block.state_dict(), "convolution.weight": kernel})
    large = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
    before = torch.nn.functional.conv2d(large, kernel, padding=1)
    with torch.no_grad():
        assert torch.allclose(block.convolution(x), before, atol=1e-5)


def test_a_generator_that_gains_labels_draws_as_before() -> None:
    plain = modern.Generator(16, 8, 8, 4).eval()
    conditional = modern.Generator(
        16, 8, 8, 4, [Attribute(name="hat", values=["a", "b"], shares=[0.5, 0.5])]
    )
    missing, unexpected = conditional.load_state_dict(plain.state_dict(), strict=False)
    assert (set(missing), unexpected) == ({"mapping.above", "mapping.up_to"}, [])
    z, wishes = torch.randn(3, 8), torch.tensor([[-1.0], [0.5], [2.0]])
    with torch.no_grad():
        images = conditional.eval()(torch.cat([z, wishes], dim=1))
        assert torch.allclose(images, plain(z), atol=1e-5)
    conditional(torch.cat([z, wishes], dim=1)).sum().backward()
    assert conditional.mapping is not None
    gradient = conditional.mapping.layers.get_parameter("0.weight").grad
    assert gradient is not None
    assert gradient[:, 8:].abs().sum() > 0, "and can learn them"


def test_what_is_fainter_than_its_levels_is_smoothed_away_and_lines_stay() -> None:
    flatten = modern.Flatten(20)
    random = torch.Generator().manual_seed(0)
    image = torch.full((2, 3, 32, 32), -0.5)
    image[:, :, :, 16:] = 0.5  # an edge, and a line of one pixel
    image[:, :, 8] = -1.0
    noisy = image + 2 / 127.5 * torch.randn(image.shape, generator=random)
    difference = (flatten(noisy) - image).abs() * 127.5
    assert (noisy - image).abs().mean() * 127.5 > 1.5
    assert difference.mean() < 0.9
    assert difference.max() < 6


def test_without_levels_not_a_bit_changes() -> None:
    x = torch.randn(2, 3, 16, 16)
    assert modern.Flatten(0)(x) is x


def test_what_is_flat_stays_flat() -> None:
    x = torch.rand(2, 3, 1, 1).expand(-1, -1, 16, 16).contiguous()
    assert torch.equal(modern.Flatten(20)(x), x)


def test_residuals_load_old_weights_and_draw_what_they_drew() -> None:
    fields = {"preset": "smoke", "resolution": 32}
    old = build.generator(resolve(fields)).eval()
    new = build.generator(resolve({**fields, "residuals": 2})).eval()
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert unexpected == []
    assert all(".residuals." in name for name in missing)
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(old(z), new(z))


def test_residuals_learn() -> None:
    network = build.generator(resolve({"preset": "smoke", "resolution": 32, "residuals": 2}))
    assert isinstance(network, modern.Generator)
    assert list(network.synthesis.residuals) == ["2", "3"]
    network(torch.randn(4, 16)).square().sum().backward()
    for residual in network.synthesis.residuals.values():
        gradient = residual.get_parameter("gain").grad
        assert gradient is not None
        assert gradient.abs().sum() > 0
