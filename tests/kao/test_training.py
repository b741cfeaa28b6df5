"""`kao train` and `kao evaluate` as typed, with the smallest preset and a small set."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from models import bundle, runs
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao
from tests.support.waiting import wait

SMALL = ("--preset", "smoke", "--limit", "64", "--set", "sliders=false")


def test_without_pytorch_a_run_is_refused_before_it_is_made(
    kao: Kao, settings: Settings, tmp_path: Path
) -> None:
    """PyTorch is hidden by a finder of modules that comes first and finds none of that name."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "find_spec = importlib.util.find_spec\n"
        "def without_torch(name, package=None):\n"
        "    return None if name == 'torch' else find_spec(name, package)\n"
        "importlib.util.find_spec = without_torch\n"
        "sys.modules['torch'] = None\n"
    )
    for words in (("train", "--preset", "smoke"), ("enlarge", "default", "--dataset", "starter")):
        code, _, message = kao(*words, PYTHONPATH=str(tmp_path))
        assert code == 1, message
        assert "pip install 'kao[worker]'" in message
        assert "Traceback" not in message
    assert kao("dataset", "list").code == 0  # creates the tables
    engine = connect(settings)
    assert runs.list_runs(engine, 10) == []
    engine.dispose()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_is_trained_promoted_and_drawn(kao: Kao, settings: Settings, tmp_path: Path) -> None:
    code, output, message = kao("train", *SMALL, "--images", "160", "--promote")
    assert code == 0, message
    # Logs and progress, the training process's too, are on stderr.
    (found,) = re.findall(r"\ARun (\w+) published (\w{64})\nTry: kao sample .+\n\Z", output)
    run, version = found
    assert '"event": "training.ended"' in message
    engine = connect(settings)
    row = runs.get(engine, run)
    assert (row["state"], row["version"]) == ("succeeded", version)
    assert row["recipe"]["dataset_limit"] == 64
    assert Registry(engine, settings.storage).aliases()["default"] == version
    engine.dispose()
    face = tmp_path / "face.png"
    assert kao("sample", "--model", version[:12], "--seed", "42", "--out", str(face)).code == 0
    assert face.read_bytes().startswith(b"\x89PNG")

    code, _, message = kao("train", "--resume", run)
    assert (code, "Traceback" in message) == (1, False)
    assert "succeeded" in message


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_model_is_measured(kao: Kao, registry: Registry, bundles: list[Path]) -> None:
    options = ("--dataset", "starter", "--samples", "40", "--limit", "64", "--size", "16")
    code, output, message = kao("evaluate", bundle.digest(bundles[0])[:12], *options, "--json")
    assert code == 0, message
    report = json.loads(output)
    assert report["version"] == bundle.digest(bundles[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_publishes_what_is_trained(settings: Settings, kao: Kao) -> None:
    assert kao("dataset", "list").code == 0  # creates the tables
    engine = connect(settings)
    process = subprocess.Popen(
        [sys.executable, "-m", "kao", "train", *SMALL, "--images", "400000"],
        env={**os.environ, **settings.environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    wait(lambda: any(row["progress"] for row in runs.list_runs(engine)), 300, "it trains")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    (row,) = runs.list_runs(engine)
    assert row["state"] == "succeeded"
    assert row["version"] in output
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        pytest.param(["--preset", "none"], "modern-64", id="preset"),
        pytest.param(["--set", "wings=2"], "wings", id="unknown-field"),
        pytest.param(["--set", "batch=0"], "batch", id="out-of-range"),
        pytest.param(["--set", "labels=[hair]"], 'labels=["hair", "mood"]', id="shell-quotes"),
        pytest.param(["--dataset", "nothing"], "nothing", id="dataset"),
        pytest.param(["--dataset", "./nothing"], "folder or zip './nothing'", id="folder"),
        pytest.param(["--resume", "nothing"], "nothing", id="resume"),
        pytest.param(["--start-from", "nothing"], "nothing", id="parent"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(quick: Kao, words: list[str], part: str) -> None:
    code, output, message = quick("train", "--preset", "smoke", "--images", "16", *words)
    assert (code, output) == (1, "")
    assert part in message
    assert "GET /" not in message, "a terminal speaks no HTTP"


@pytest.mark.slow
def test_a_set_that_is_none_is_a_sentence(kao: Kao, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, output, message = kao("train", *SMALL, "--dataset", str(tmp_path / "empty"))
    assert (code, output) == (1, "")
    assert "Traceback" not in message
    assert "failed" in message


def test_a_folder_gets_a_recipe_of_its_own_with_reasons(quick: Kao, tmp_path: Path) -> None:
    folder = tmp_path / "art"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (80, 80), (40 * number, 90, 200)).save(folder / f"{number}.png")
    # The recipe is refused, so that nothing trains.
    code, output, message = quick("train", "--dataset", str(folder), "--set", "latent=1")
    assert (code, output) == (1, "")
    assert "6 pictures in 'art'" in message
    for word in ("preset=modern-64-flat", "Size: 64 px", "Labels: none", "Augmentation", "Machine"):
        assert word in message
    assert "latent" in message

    code, _, message = quick("train", "--dataset", str(folder), "--preset", "smoke", "--set", "x=1")
    assert (code, "Chosen for" in message) == (1, False)
