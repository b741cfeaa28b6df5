"""A large zip streams to disk in constant memory."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from models.settings import Settings
from tests.app.conftest import LiveServer
from tests.app.datasets.test_hostile_uploads import peak_memory

pytestmark = pytest.mark.slow

PICTURES, SIDE = 24, 3000  # 27 MB each as BMP, stored


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid zip of 648 MB."""
    path = tmp_path_factory.mktemp("large") / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(PICTURES):
            picture = io.BytesIO()
            noise = Image.frombytes("RGB", (SIDE, SIDE), os.urandom(3 * SIDE * SIDE))
            noise.save(picture, "BMP")
            archive.writestr(f"{number:02}.bmp", picture.getvalue())
    return path


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            yield piece


def test_a_large_zip_streams_to_disk_in_constant_memory(
    live_server: LiveServer, large: Path, settings: Settings
) -> None:
    url, process = live_server
    before = peak_memory(process.pid)
    key, size = (settings.home / "api-key").read_text().strip(), large.stat().st_size
    headers = {"Authorization": f"Bearer {key}", "Content-Length": str(size)}
    with httpx.Client(trust_env=False, timeout=200, headers=headers) as client:
        answer = client.post(f"{url}/datasets?name=large&licence=x", content=_pieces(large))
    assert answer.status_code == 201
    assert (answer.json()["images"], answer.json()["bytes"]) == (PICTURES, size)
    # One picture at a time, with two copies while it is assembled.
    assert peak_memory(process.pid) - before < 150 << 20
