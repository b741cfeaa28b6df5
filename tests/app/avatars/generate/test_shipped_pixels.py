"""The faces of every version that was ever shipped stay as they are, at every size."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models import bootstrap
from tests.app.avatars.conftest import serving

SHIPPED_MODELS = bootstrap.SHIPPED  # before a fixture puts an empty folder in its place
# Seed 42 at psi 0.7, drawn when the version was shipped: VERSION-SIZE.png.
FIXTURES = sorted((Path(__file__).parents[3] / "fixtures" / "shipped").glob("*.png"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An app with the shipped models."""
    bundles = [path for path in sorted(SHIPPED_MODELS.iterdir()) if path.is_dir()]
    yield from serving(tmp_path_factory.mktemp("shipped"), bundles)


def test_every_shipped_version_is_pinned_at_three_sizes() -> None:
    names = {path.stem.partition("-")[0] for path in FIXTURES}
    prefixes = {path.name[:12] for path in SHIPPED_MODELS.iterdir() if path.is_dir()}
    assert names == prefixes
    assert len(FIXTURES) == 3 * len(names)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_shipped_version_draws_the_same_face(client: TestClient, path: Path) -> None:
    version, _, size = path.stem.partition("-")
    params: dict[str, str | float] = {"seed": "42", "psi": 0.7, "model": version, "size": size}
    answer = client.get("/avatar", params={**params, "format": "png"})
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as image, Image.open(path) as fixture:
        difference = np.asarray(image).astype(int) - np.asarray(fixture)
    # Another machine's pixels may differ by 1 of 255 (docs/seeds.md).
    assert np.abs(difference).max() <= 1
