"""`kao enlarge` publishes the same faces with an enlarger, and continues what was interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models import bundle
from models.bundle import verify
from models.faces import latents
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao

pytestmark = pytest.mark.slow

WORDS = ("--width", "32", "--blocks", "1", "--limit", "60")


def _write_pictures(folder: Path, side: int) -> Path:
    """60 discs with an outline, which resizing blurs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(60):
        image = Image.new("RGB", (4 * side, 4 * side), "#c0ccfb")
        x, y, r = (int(n) for n in random.integers(side, 3 * side, 3))
        colour = f"#{random.integers(0, 2**24):06x}"
        box = (x - r, y - r, x + r, y + r)
        ImageDraw.Draw(image).ellipse(box, colour, "#101018", side // 4)
        image.resize((side, side), Image.Resampling.BOX).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of pictures twice as large as the generator's 16 pixels."""
    return _write_pictures(tmp_path / "discs", 32)


def test_the_new_version_has_the_same_generator(
    kao: Kao, registry: Registry, pictures: Path
) -> None:
    old = registry.resolve("default")
    result = kao(
        "enlarge", "default", "--dataset", str(pictures), "--steps", "400", *WORDS, KAO_THREADS="1"
    )
    assert result.code == 0, result.err
    assert "400 steps on 57 pictures, enlarged 2 times." in result.err
    new = result.out.split()[1].rstrip(":")
    assert new != old
    assert registry.resolve("default") == old
    before, after = registry.folder(old), registry.folder(new)
    for name in (bundle.WEIGHTS, bundle.SYNTHESIS, bundle.MAPPING):
        assert (before / name).read_bytes() == (after / name).read_bytes()
    drawers = [verify.verify(folder, folder.name) for folder in (before, after)]
    z = latents.derive("42", drawers[0].card.network.latent)[None]
    without, with_one = (drawer.draw_at(z, 1.0, 16) for drawer in drawers)
    np.testing.assert_array_equal(without, with_one)
    without, with_one = (drawer.draw_at(z, 1.0, 32) for drawer in drawers)
    assert not np.array_equal(without, with_one)
    card = drawers[1].card.enlarger
    assert card is not None
    assert (card.scale, card.dataset, card.steps) == (2, "discs", 400)
    assert card.psnr > card.psnr_without


def test_small_pictures_publish_nothing(kao: Kao, registry: Registry, tmp_path: Path) -> None:
    small = _write_pictures(tmp_path / "small", 24)
    result = kao("enlarge", "default", "--dataset", str(small), "--minutes", "0.01")
    assert result.code == 1
    assert "fewer than 40 pictures have a side of 32 pixels" in result.err
    assert "No model was published." in result.err


def test_it_trains_or_copies(kao: Kao, registry: Registry) -> None:
    assert "--dataset to train" in kao("enlarge", "default").err
    result = kao("enlarge", "default", "--from", "default")
    assert result.code == 1
    assert "has no enlarger" in result.err


def test_a_dataset_and_a_model_exclude_each_other(kao: Kao, registry: Registry) -> None:
    words = ("enlarge", "default", "--dataset", "starter", "--from", "default")
    assert "--dataset or --from, not both" in kao(*words).err


def test_minutes_and_steps_exclude_each_other(kao: Kao, registry: Registry) -> None:
    words = ("enlarge", "default", "--dataset", "starter", "--minutes", "1", "--steps", "1")
    assert "not both" in kao(*words).err


def test_minutes_are_kept(kao: Kao, registry: Registry, pictures: Path) -> None:
    words = ("--dataset", str(pictures), "--minutes", "0.02", *WORDS)
    result = kao("enlarge", "default", *words)
    # So short a training makes pictures better or not: it says so.
    assert "dB on held-out pictures" in result.err
    assert "steps on 57 pictures" in result.err


def test_ctrl_c_saves_and_the_same_command_continues(
    kao: Kao, settings: Settings, registry: Registry, pictures: Path
) -> None:
    words = ["enlarge", "default", "--dataset", str(pictures), "--steps", "100000", *WORDS]
    environment = {**os.environ, **settings.environment(), "KAO_THREADS": "1"}
    command = [sys.executable, "-m", "kao", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "steps on" in line:
                break
        process.send_signal(signal.SIGINT)
        assert "The same command continues." in process.stderr.read()
    assert process.returncode == 1
    (snapshot,) = (settings.home / "enlarging").glob("*.pt")
    assert snapshot.stat().st_size > 10_000
