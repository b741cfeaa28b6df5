"""From a recipe's dataset name to a source, with the name that goes into the model's card."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from models.settings import Settings
from tests.worker.datasets.test_packing import picture, write_zip
from worker.datasets import lookup


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param("faces.v2.final", "faces.v2.final", id="rust-lang/rust#133399"),
        pytest.param("My.Project.Files", "My.Project.Files", id="python/cpython#100157"),
        pytest.param("faces.v1", "faces.v1", id="cthoyt/pystow#2"),
    ],
)
def test_a_dot_in_a_folders_name_is_no_suffix(tmp_path: Path, folder: str, name: str) -> None:
    pictures = tmp_path / folder
    pictures.mkdir()
    for number in range(2):
        (pictures / f"{number}.png").write_bytes(picture(number))
    write_zip(pictures, tmp_path / f"{folder}.zip")
    settings, engine = Settings(home=tmp_path / "home"), sa.create_engine("sqlite://")
    for path in (pictures, tmp_path / f"{folder}.zip"):
        dataset = lookup.pack_named(
            settings, engine, f"{lookup.LOCAL}{path}", 8, None, lambda count, total: None
        )
        assert dataset.name == name
