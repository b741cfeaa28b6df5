"""From averaged weights to a bundle folder that `models.registry` can publish."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from models import bundle, latents
from models.conditions import Attribute
from models.database import now
from models.recipes import Recipe
from worker import graphs
from worker.datasets.packing import Packed

SHEET = 8  # faces along each side of samples.png


def write(
    folder: Path,
    generator: nn.Module,
    recipe: Recipe,
    packed: Packed,
    training: bundle.Training,
    run: str | None,
    measures: dict[str, float] | None = None,
    attributes: Sequence[Attribute] = (),
    discriminator: nn.Module | None = None,
) -> None:
    """Fill `folder` with a bundle of this generator; the caller settles it.

    A discriminator goes along as the model's critic.
    """
    # A copy on the CPU in plain layout: the trained one goes on training.
    network = copy.deepcopy(generator).cpu().eval()
    weights = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    save_file(weights, folder / bundle.WEIGHTS)
    latent = recipe.latent + len(attributes)
    layers = graphs.export_generator(network, latent, recipe.style, folder)
    if discriminator is not None:
        graphs.export_critic(discriminator, recipe.resolution, folder)
    card = bundle.card_for(
        recipe,
        network=bundle.Network(
            resolution=recipe.resolution, latent=latent, style=recipe.style, layers=layers
        ),
        dataset=bundle.DatasetCredit(
            name=packed.name,
            fingerprint=packed.fingerprint,
            licence=packed.licence,
            credit=packed.credit,
            images=packed.count,
        ),
        training=training,
        measures=measures or {},
        attributes=list(attributes),
        parent_run=run,
        created=now(),
    )
    (folder / bundle.CARD).write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    drawer = bundle.Drawer(folder, card, threads=1)
    z = np.stack([latents.derive(str(seed), latent) for seed in range(SHEET**2)])
    Image.fromarray(sheet(drawer.draw(z, 1.0))).save(folder / bundle.SAMPLES, optimize=True)


def sheet(pixels: bundle.Pixels) -> bundle.Pixels:
    """(n², S, S, 3) → (nS, nS, 3): the faces in rows."""
    side, size = round(len(pixels) ** 0.5), pixels.shape[1]
    rows = pixels.reshape(side, side, size, size, 3).swapaxes(1, 2)
    return rows.reshape(side * size, side * size, 3)
