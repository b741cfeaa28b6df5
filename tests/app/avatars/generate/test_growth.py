"""A face with an age is what the model drew at that checkpoint of its training."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models import bundle
from models.bundle import verify
from models.faces import latents
from models.registry import Registry
from tests.support.pictures import get_pixels

FACE = "/avatar?seed={}&size=16&format=png"


def test_age_1_is_the_final_models_face(faces: TestClient) -> None:
    for seed in range(4):
        now, last = (
            get_pixels(faces, FACE.format(seed)),
            get_pixels(faces, FACE.format(seed) + "&age=1"),
        )
        assert np.abs(now - last).max() <= 1


def test_age_0_is_another_face_and_ages_between_lie_between(faces: TestClient) -> None:
    first, middle, last = (
        np.stack([get_pixels(faces, f"{FACE.format(seed)}&age={age}") for seed in range(4)])
        for age in ("0", "0.5", "1")
    )
    distance = np.abs(last - first).mean()
    assert distance > 3
    assert np.abs(middle - first).mean() < distance
    assert np.abs(last - middle).mean() < distance


def test_age_0_is_what_the_first_checkpoints_weights_draw(bundles: list[Path]) -> None:
    import torch

    from models.networks import build
    from models.recipes.recipe import resolve

    folder = bundles[1]
    recipe = resolve({"preset": "smoke"})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        young = build.generator(recipe).eval()
    drawer = verify.verify(folder, bundle.digest(folder))
    z = latents.derive("a", recipe.latent)[None]
    with torch.no_grad():
        pixels = young(torch.from_numpy(z)).clamp(-1, 1).add(1).mul(127.5).permute(0, 2, 3, 1)
    # The graph stores eight bits per weight.
    assert np.abs(drawer.grow(z, 1.0, 0.0) - pixels.numpy()).mean() < 1.5


def test_psi_and_traits_apply_at_every_age(choosy: TestClient) -> None:
    address = "/avatar?seed=a&size=16&format=png&age=0.9"
    red, blue = (get_pixels(choosy, f"{address}&colour={colour}") for colour in ("red", "blue"))
    assert (red[..., 0] - red[..., 2]).mean() - (blue[..., 0] - blue[..., 2]).mean() > 20
    # psi 0 is the average of the faces with the same attributes.
    centre = "size=16&format=png&age=0.9&psi=0&colour=red&light=dark"
    one, other = (get_pixels(choosy, f"/avatar?seed={seed}&{centre}") for seed in "ab")
    assert np.array_equal(one, other)


def test_a_loop_starts_at_age_0(faces: TestClient) -> None:
    answer = faces.get("/grow?seed=a&size=16&frames=4&format=apng")
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as loop:
        assert getattr(loop, "n_frames", 1) == 4
        first = np.asarray(loop.convert("RGB")).astype(np.int64)
    assert np.array_equal(first, get_pixels(faces, FACE.format("a") + "&age=0"))


def test_a_best_face_stays_the_same_person(faces: TestClient) -> None:
    answer = faces.get(FACE.format("a") + "&age=0&best_of=2")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-critic")


@pytest.mark.parametrize("address", ["/avatar?seed=a&age=0.5", "/grow?seed=a", "/og?seed=a&age=0"])
def test_a_model_without_moments_says_so(
    client: TestClient,
    versions: list[str],
    registry: Registry,
    write_bundle: Callable[..., Path],
    address: str,
) -> None:
    version = registry.import_folder(write_bundle())
    answer = client.get(f"{address}&model={version}")
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:kao:problem:no-training-history",
    )
    assert answer.headers["cache-control"] == "no-store"
