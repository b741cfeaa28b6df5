"""Every kind of picture shows enlarged faces above the generator's size, and only there."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models import bundle
from models.bundle import verify
from models.faces import latents
from tests.app.avatars.conftest import serving
from tests.support.enlargers import add_enlarger


@pytest.fixture(scope="module")
def crisp(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first bundle with an enlarger."""
    return add_enlarger(bundles[0], tmp_path_factory.mktemp("crisp"))


@pytest.fixture(scope="module")
def client(
    crisp: Path, bundles: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """An app whose default model has an enlarger, with the same one without beside it."""
    yield from serving(tmp_path_factory.mktemp("app"), [crisp, bundles[0]])


def _get(client: TestClient, address: str, model: str) -> bytes:
    answer = client.get(f"{address}&model={model}")
    assert answer.status_code == 200, answer.text
    return answer.content


def _pixels(body: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize(
    "address",
    [
        "/avatar?seed=a&size=64&format=png",
        "/avatar?seed=a&size=20&format=png",
        "/avatar?seed=a&size=16&dpr=2&format=png",
        "/avatar?seed=a&size=64&best_of=1&age=0.5&format=png",
        "/avatar/a.svg?size=16",
        "/morph?from=a&to=b&t=0.5&size=64&format=png",
        "/morph?from=a&to=b&frames=2&size=64&format=gif",
        "/walk?seed=a&stops=2&frames=2&size=64&format=apng",
        "/grow?seed=a&frames=2&size=64&format=apng",
        "/mix?coarse=a&fine=b&size=64&format=png",
        "/blend?seeds=a,b&size=64&format=png",
        "/family?parents=a,b&children=2&size=64&format=png",
        "/family?parents=a,b&child=0&size=64&format=png",
        "/sheet?seeds=a,b&size=64&format=png",
        "/og?seed=a&format=png",
    ],
)
def test_larger_pictures_are_enlarged(
    client: TestClient, crisp: Path, bundles: list[Path], address: str
) -> None:
    versions = bundle.digest(crisp), bundle.digest(bundles[0])
    enlarger_picture, resized_picture = (_get(client, address, version) for version in versions)
    assert enlarger_picture != resized_picture
    if not address.startswith("/avatar/a.svg"):
        # Another version also has another stamp; here the pixels differ.
        assert np.abs(_pixels(enlarger_picture) - _pixels(resized_picture)).mean() > 0.5


@pytest.mark.parametrize("size", [16, 17, 40])
def test_smaller_pictures_are_those_of_the_generator(
    client: TestClient, crisp: Path, bundles: list[Path], size: int
) -> None:
    address = f"/avatar?seed=a&size={size}&format=png"
    versions = bundle.digest(crisp), bundle.digest(bundles[0])
    enlarger_picture, resized_picture = (
        _pixels(_get(client, address, version)) for version in versions
    )
    assert np.array_equal(enlarger_picture, resized_picture) == (size == 16)


@pytest.mark.parametrize("size", [32, 64, 100])
def test_a_served_face_is_what_the_bundle_draws_at_that_size(
    client: TestClient, crisp: Path, size: int
) -> None:
    drawer = verify.verify(crisp, bundle.digest(crisp))
    z = latents.derive("a", drawer.card.network.latent)[None]
    body = _get(client, f"/avatar?seed=a&psi=1&size={size}&format=png", bundle.digest(crisp))
    np.testing.assert_array_equal(_pixels(body), drawer.draw_at(z, 1.0, size)[0])


def test_faces_requested_at_once_equal_those_requested_alone(client: TestClient) -> None:
    addresses = [f"/avatar?seed={seed}&size=64&format=png&psi=0.7" for seed in range(32)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda address: client.get(address).content, addresses))
    # Other addresses of the same faces, so that nothing comes from memory.
    alone = [client.get(f"{address}&variant=0").content for address in addresses]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(_pixels(one), _pixels(other))


@pytest.mark.parametrize("distinct", [False, True])
def test_bulk_faces_are_enlarged(client: TestClient, distinct: bool) -> None:
    body = {"seeds": ["a", "b"], "size": 64, "format": "png", "distinct": distinct}
    answer = client.post("/avatars", json=body)
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    index = json.loads(archive.read("index.json"))
    assert len(index) == 2
    for name, row in index.items():
        assert client.get(row["address"]).content == archive.read(name)
    lines = client.post("/avatars", json=body, headers={"Accept": "application/x-ndjson"}).text
    for line in map(json.loads, lines.splitlines()):
        assert client.get(line["address"]).content == base64.b64decode(line["content"])


def test_pages_name_the_size_of_the_enlarged_face(
    client: TestClient, crisp: Path, bundles: list[Path]
) -> None:
    """A model of 64 px that draws 256 px would else look worse than its faces."""
    resolution = bundle.Card.model_validate(bundle.read_card(crisp)).network.resolution
    for folder, side in ((crisp, 4 * resolution), (bundles[0], resolution)):
        text = client.get(f"/models/{bundle.digest(folder)}/card").text
        assert f"Draws {side} × {side} pixels" in text
        assert f"<dd>{side} × {side}</dd>" in client.get("/").text
