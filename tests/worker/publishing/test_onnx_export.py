"""A network exported for serving gives what the network gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import bundle
from models.faces.attributes import Attribute
from models.networks import build
from models.onnx_runtime import onnxruntime
from models.recipes.recipe import resolve
from worker.publishing import onnx_export

HAIR = Attribute(name="hair", values=["red", "blue"], shares=[0.5, 0.5])


@pytest.mark.parametrize(
    ("preset", "attributes"),
    [
        pytest.param("smoke", [], id="modern"),
        pytest.param("smoke", [HAIR], id="with-labels"),
        pytest.param("classic", [], id="classic"),
    ],
)
def test_a_critic_scores_as_the_discriminator_does(
    tmp_path: Path, preset: str, attributes: list[Attribute]
) -> None:
    recipe = resolve({"preset": preset})
    torch.manual_seed(0)
    discriminator = build.discriminator(recipe, attributes)
    onnx_export.export_critic(discriminator, recipe.resolution, tmp_path)
    shape = (4, recipe.resolution, recipe.resolution, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(tmp_path / bundle.CRITIC))
    scores = np.concatenate([session.run(None, {"images": one[None]})[0] for one in images])
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        alone = torch.cat([discriminator.eval()(one[None]) for one in x])
    assert scores.shape == (4,)
    assert np.ptp(scores) > 0
    # Eight bits: 0.004 of the largest weight of a row, and half of it at most.
    np.testing.assert_allclose(scores, alone.numpy(), atol=0.01 * np.ptp(scores) + 0.005)
    size = sum(each.numel() for each in discriminator.parameters())
    assert (tmp_path / bundle.CRITIC).stat().st_size < 1.1 * size + 30_000
