"""Bundles and databases of every earlier format stay readable."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import runs
from models.bundle import verify
from models.database.engine import connect, migrate
from models.faces import latents
from models.recipes.recipe import Recipe
from models.registry import Registry
from models.settings import Settings

FORMATS = sorted((Path(__file__).parents[2] / "fixtures").glob("format-*"))


@pytest.mark.parametrize("fixture", FORMATS, ids=lambda path: path.name)
def test_an_old_database_migrates_and_its_model_draws_the_same_face(
    fixture: Path, settings: Settings
) -> None:
    settings.home.mkdir()
    shutil.copy(fixture / "kao.db", settings.home / "kao.db")
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.storage)
    version = registry.resolve("default")
    assert registry.import_zip(fixture / "bundle.zip") == version

    drawer = verify.verify(registry.folder(version), version)
    pixels = drawer.draw(latents.derive("42", drawer.card.network.latent)[None], 1.0)[0]
    expected_pixels = np.asarray(Image.open(fixture / "42.png")).astype(int)
    # Another machine's pixels may differ by 1 of 255 (docs/seeds.md).
    assert np.abs(pixels - expected_pixels).max() <= 1

    states = {run["state"] for run in runs.list_runs(engine)}
    assert states == {"succeeded", "cancelled"}
    for run in runs.list_runs(engine):
        Recipe.model_validate(run["recipe"])
        assert runs.events_after(engine, run["id"], 0)
    engine.dispose()
