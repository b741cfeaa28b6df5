"""What a run prints where its output goes to a file."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from models import runs
from models.recipes.recipe import resolve
from worker.training.reporting import Reporter

STEP = {"epoch": 3, "images": 1_234_567, "images_per_second": 4321.0, "seconds": 9.0}
LOSSES = {"d_loss": 0.7, "d_real": 1.5, "d_fake": -1.5, "g_loss": 0.9}


@pytest.fixture
def reporter(engine: sa.Engine, tmp_path: Path) -> Reporter:
    """A reporter of a new run."""
    row, _ = runs.create(engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    claim = runs.claim(engine, row["id"])
    assert claim is not None
    return Reporter(engine, row["id"], claim[1], tmp_path / "run")


def test_a_step_is_one_line(reporter: Reporter, capsys: pytest.CaptureFixture[str]) -> None:
    reporter.progress({**STEP, **LOSSES}, step=38_580, fraction=0.5)
    reporter.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert "step 38580  epoch 3  1,234,567 images" in line
    assert line.endswith("G 0.900")


def test_a_name_in_brackets_is_text(reporter: Reporter, capsys: pytest.CaptureFixture[str]) -> None:
    message = "[/bold] of 'faces [red]' is rare"
    reporter.event("run.warning", {"message": message})
    reporter.close()
    assert capsys.readouterr().err.strip() == message
