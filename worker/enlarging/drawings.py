"""The generator's own drawings of the faces in a set's pictures: the enlarger's real inputs.

Where labels say all that a picture shows, the generator draws the picture of given labels with the
very mistakes that the enlarger has to correct. What `degradation.py` imitates is then there itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bundle.generator import Pixels
from models.errors import DatasetError
from models.faces.attributes import Attribute
from models.faces.pixels import to_pixels
from models.networks.modern import Generator
from worker.rng import random_stream

BATCH = 64


@torch.no_grad()
def draw(
    generator: Generator,
    attributes: Sequence[Attribute],
    labels: Mapping[str, Mapping[str, Sequence[Any]]],
    seed: int,
) -> Pixels:
    """Draw one face for each picture's labels: (N, S, S, 3), with a z of its own.

    generator: as when faces are served. labels: as a packed dataset has them.
    Raises DatasetError for an attribute that the labels lack, or a value that it does not have.
    """
    assert generator.mapping is not None  # without a mapping there are no attributes
    z = latents(attributes, labels, generator.mapping.latent + len(attributes), seed)
    device = next(generator.parameters()).device
    return np.concatenate(
        [to_pixels(generator(batch.to(device)).cpu()).numpy() for batch in z.split(BATCH)]
    )


def latents(
    attributes: Sequence[Attribute],
    labels: Mapping[str, Mapping[str, Sequence[Any]]],
    length: int,
    seed: int,
) -> Tensor:
    """Latents (N, length) whose last elements select the labels."""
    columns = [_codes(labels, attribute) for attribute in attributes]
    count = len(columns[0])
    random = random_stream(seed, "enlarger-drawings")
    z = torch.randn(count, length, generator=random)
    uniform = torch.rand((len(columns), count), dtype=torch.float64, generator=random).numpy()
    for place, (attribute, codes) in enumerate(zip(attributes, columns, strict=True)):
        elements = attribute.sample(codes, uniform[place])
        z[:, length - len(attributes) + place] = torch.from_numpy(elements)
    return z


def _codes(
    labels: Mapping[str, Mapping[str, Sequence[Any]]], attribute: Attribute
) -> NDArray[np.int64]:
    """Each picture's value, as its place among the attribute's: (N,)."""
    places = {value: place for place, value in enumerate(attribute.values)}
    try:
        label = labels[attribute.name]
        model_codes = [places[str(value)] for value in label["values"]]
    except KeyError as error:
        raise DatasetError(f"The larger pictures' labels lack {error}, or have it new.") from None
    codes: NDArray[np.int64] = np.array(model_codes, np.int64)[np.array(label["codes"])]
    return codes
