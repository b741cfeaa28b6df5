"""A small set of pictures, and attempts at runs in this process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw

from models import runs
from models.recipes.recipe import resolve
from models.settings import Settings
from tests.worker.training.types import Attempts, EventsOf
from worker.enlarging.training import Quality
from worker.training.run import Attempt


def face(number: int, side: int = 24) -> Image.Image:
    """A coloured disc that looks a little different each time."""
    random = np.random.default_rng(number)
    image = Image.new("RGB", (side, side), tuple(random.integers(150, 256, 3).tolist()))
    left, top = random.integers(2, side // 3, 2).tolist()
    colour = tuple(random.integers(0, 200, 3).tolist())
    ImageDraw.Draw(image).ellipse((left, top, left + side // 2, top + side // 2), fill=colour)
    return image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 64 such faces."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(64):
        face(number).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def large(pictures: Path) -> Path:
    """The set with a side of four times the generator's 16 pixels."""
    for path in pictures.iterdir():
        with Image.open(path) as image:
            image.resize((64, 64)).save(path)
    return pictures


@pytest.fixture
def any_enlarger_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps make no enlarger that is better than none."""
    monkeypatch.setattr(Quality, "is_better", True)


@pytest.fixture
def attempt(settings: Settings, engine: sa.Engine) -> Attempts:
    """Claim a new run of these recipe fields: an `Attempt` to `execute()`."""

    def make(folder: Path, **fields: Any) -> Attempt:
        fields = {"preset": "smoke", "images": 160, **fields}
        recipe = resolve({**fields, "dataset": f"path:{folder}"})
        row, _ = runs.create(engine, recipe, fields)
        claim = runs.claim(engine, row["id"])
        assert claim is not None
        return Attempt(settings, engine, *claim)

    return make


@pytest.fixture
def events_of(engine: sa.Engine) -> EventsOf:
    """The data of a run's events of one type."""

    def find(attempt: Attempt, type: str) -> list[dict[str, Any]]:
        events = runs.events_after(engine, attempt.run, 0, limit=10_000)
        return [event["data"] for event in events if event["type"] == type]

    return find
