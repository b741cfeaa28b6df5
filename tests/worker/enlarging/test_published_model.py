"""An enlarger for a model that is published: what was trained is kept until it is published."""

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from models.errors import KaoError
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import WriteBundle
from worker.enlarging.published_model import Options, PublishedModel, Report
from worker.enlarging.training import EnlargerTrainer, Quality
from worker.publishing import bundle_writer

STEPS = 4


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 60 pictures, twice as large as the generator's 16 pixels."""
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for number in range(60):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_a_publication_that_failed_loses_no_training(
    engine: sa.Engine,
    settings: Settings,
    write_bundle: WriteBundle,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> str:
        raise KaoError("The disk is full.")

    monkeypatch.setattr(Quality, "is_better", True)
    steps: list[int] = []
    advance = EnlargerTrainer.advance

    def count_and_advance(self: EnlargerTrainer) -> float:
        steps.append(self.step)
        return advance(self)

    monkeypatch.setattr(EnlargerTrainer, "advance", count_and_advance)
    registry = Registry(engine, settings.storage)
    version = registry.import_folder(write_bundle())
    options = Options(f"path:{pictures}", None, STEPS, None, 0, 8, 1, 1)
    report = Report(lambda *_: None, lambda *_: None, lambda *_: None)

    def enlarge() -> str | None:
        return PublishedModel(settings, engine, version, options, report).enlarge(lambda: False)

    with monkeypatch.context() as patch:
        patch.setattr(bundle_writer, "with_enlarger", fail)
        with pytest.raises(KaoError, match="full"):
            enlarge()
    new_version = enlarge()
    assert steps == list(range(STEPS))
    assert new_version not in (None, version)
    assert not list((settings.home / "enlarging").glob("*.pt"))
