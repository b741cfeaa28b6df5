"""What `kao evaluate --size` measures is what `GET /avatar?size=` serves, pixel for pixel."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models import bundle
from models.bundle import verify
from models.faces import latents


@pytest.mark.parametrize("size", [16, 40, 64, 200, 256])
def test_draw_at_gives_the_pixels_of_a_served_png(
    faces: TestClient, bundles: list[Path], size: int
) -> None:
    drawer = verify.verify(bundles[0], bundle.digest(bundles[0]))
    seeds = ["0", "1", "ada"]
    z = np.stack([latents.derive(seed, drawer.card.network.latent) for seed in seeds])
    for seed, pixels in zip(seeds, drawer.draw_at(z, 1.0, size), strict=True):
        params: dict[str, str | int | float] = {"seed": seed, "size": size, "format": "png"}
        response = faces.get("/avatar", params={**params, "psi": 1})
        with Image.open(io.BytesIO(response.content)) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)
