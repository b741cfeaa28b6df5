"""A face at an age is what its model drew at that moment of its training."""

import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models import bundle
from models.bundle import verify
from models.faces import latents
from models.registry import Registry

FACE = "/avatar?seed={}&size=16&format=png"


def _pixels(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(float)


def test_the_last_moment_is_the_face_of_now(faces) -> None:
    for seed in range(4):
        now, last = _pixels(faces, FACE.format(seed)), _pixels(faces, FACE.format(seed) + "&age=1")
        assert np.abs(now - last).max() <= 1


def test_the_first_one_is_another_and_those_between_lie_between(faces) -> None:
    first, middle, last = (
        np.stack([_pixels(faces, f"{FACE.format(seed)}&age={age}") for seed in range(4)])
        for age in ("0", "0.5", "1")
    )
    whole = np.abs(last - first).mean()
    assert whole > 3
    assert np.abs(middle - first).mean() < whole
    assert np.abs(last - middle).mean() < whole


def test_the_first_moment_is_what_those_weights_draw(bundles: list[Path]) -> None:
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
        drawn = young(torch.from_numpy(z)).clamp(-1, 1).add(1).mul(127.5).permute(0, 2, 3, 1)
    # Eight bits a weight.
    assert np.abs(drawer.grow(z, 1.0, 0.0) - drawn.numpy()).mean() < 1.5


def test_psi_and_traits_hold_at_every_age(choosy) -> None:
    address = "/avatar?seed=a&size=16&format=png&age=0.9"
    red, blue = (_pixels(choosy, f"{address}&colour={colour}") for colour in ("red", "blue"))
    assert (red[..., 0] - red[..., 2]).mean() - (blue[..., 0] - blue[..., 2]).mean() > 20
    one, other = (
        _pixels(choosy, f"/avatar?seed={seed}&size=16&format=png&age=0.9&psi=0&colour=red")
        for seed in "ab"
    )
    assert np.array_equal(one, other)


def test_the_loop_begins_young(faces) -> None:
    answer = faces.get("/grow?seed=a&size=16&frames=4&format=apng")
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as loop:
        assert loop.n_frames == 4
        first = np.asarray(loop.convert("RGB")).astype(float)
    assert np.array_equal(first, _pixels(faces, FACE.format("a") + "&age=0"))


def test_a_best_face_stays_the_same_person(faces) -> None:
    answer = faces.get(FACE.format("a") + "&age=0&best_of=2")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:kao:problem:no-critic")


@pytest.mark.parametrize("address", ["/avatar?seed=a&age=0.5", "/grow?seed=a", "/og?seed=a&age=0"])
def test_a_model_without_moments_says_so(
    client: TestClient, versions: list[str], registry: Registry, write_bundle, address
) -> None:
    version = registry.import_folder(write_bundle())
    answer = client.get(f"{address}&model={version}")
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:kao:problem:no-training-history",
    )
    assert answer.headers["cache-control"] == "no-store"
