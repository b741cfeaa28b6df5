"""`kao dataset …` as typed."""

from pathlib import Path

import pytest
from PIL import Image

from models.settings import Settings
from tests.kao.conftest import Kao


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve pictures and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 30), (20 * number, 100, 200)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_the_starter_is_always_listed(quick: Kao) -> None:
    code, table, _ = quick("dataset", "list")
    assert code == 0
    assert "starter" in table


def test_a_folder_is_packed_and_its_broken_file_named(
    quick: Kao, pictures: Path, settings: Settings
) -> None:
    code, output, message = quick("dataset", "pack", str(pictures), "--size", "16")
    assert code == 0
    assert output.startswith("12 images of 16×16, ")
    assert "skipped broken.png" in message
    (images,) = settings.cache.rglob("images.npy")
    assert quick("dataset", "pack", str(pictures), "--size", "16").out == output
    assert list(settings.cache.rglob("images.npy")) == [images], "packed once"


def test_a_limit_is_kept(quick: Kao, pictures: Path) -> None:
    packed = quick("dataset", "pack", str(pictures), "--size", "16", "--limit", "9")
    assert packed.out.startswith("9 images")


def test_a_folder_without_pictures_is_a_sentence(quick: Kao, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, output, message = quick("dataset", "pack", str(tmp_path / "empty"))
    assert (code, output) == (1, "")
    assert "picture" in message or "image" in message
