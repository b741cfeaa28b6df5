"""What a run prints where its output goes to a file."""

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from models import runs
from models.datasets.exclusions import Exclusion, summarise
from models.recipes.recipe import resolve
from worker.enlarging.stage import StageProgress
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


def test_the_stages_after_the_training_are_printed(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    started = {"steps": 9_000, "pictures": 3_900, "scale": 4}
    reporter.event("enlarger.started", started)
    for step in (1, 2, 9_000):
        reporter.stage("enlarger", StageProgress(step, 9_000, 0.05, 1.0))
    reporter.event("enlarger.measured", {"psnr": 27.3, "psnr_without": 24.1, "seconds": 250.0})
    reporter.close()
    first, begun, end, quality = capsys.readouterr().err.splitlines()
    assert first == "enlarger: 9,000 steps on 3,900 pictures, 4 times larger"
    assert begun.endswith("enlarger  step 1 of 9,000  loss 0.0500"), "the second follows too soon"
    assert end.endswith("step 9,000 of 9,000  loss 0.0500")
    assert quality == "enlarger: 27.3 dB on held-out pictures, 24.1 dB without it"


def test_packing_is_a_line_now_and_then(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    for count in (10, 20, 50_000):
        reporter.preparing(count, 50_000)
    reporter.close()
    first, last = capsys.readouterr().err.splitlines()
    assert first.endswith("dataset  10 of 50,000 pictures")
    assert last.endswith("dataset  50,000 of 50,000 pictures")


def test_files_that_are_not_used_are_listed_by_reason(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [Exclusion(f"{name}.png", "cannot be decoded: x") for name in "abcdef"]
    reporter.left_out(summarise([*broken, Exclusion("[/x].psd", "PSD is not read")]))
    reporter.close()
    assert capsys.readouterr().err.splitlines() == [
        "left out 6 files, cannot be decoded: x: a.png, b.png, c.png, d.png, e.png, …",
        "left out 1 file, PSD is not read: [/x].psd",
    ]


def test_a_sheet_is_whole_and_stored_before_it_is_announced(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(reporter, "event", lambda name, data: order.append(name))

    def store(path: Path) -> None:
        with Image.open(path) as image:
            image.load()
        order.append(path.name)

    reporter.sheet(np.zeros((16, 16, 3), np.uint8), 640, store)
    assert order == ["0000000640.png", "sheet.drawn"]

    def fail(path: Path) -> None:
        raise OSError("planted")

    with pytest.raises(OSError, match="planted"):
        reporter.sheet(np.zeros((16, 16, 3), np.uint8), 1280, fail)
    reporter.close()
    assert order == ["0000000640.png", "sheet.drawn"]
