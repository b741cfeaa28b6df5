"""The built scripts in Node, which has the same engine as Chromium."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.local import model_packing
from app.local.routes import FOLDER
from app.registry import browser
from models.bundle import Card, read_card

HERE = Path(__file__).parent
Pixels = NDArray[np.uint8]
RunNode = Callable[..., str]
DrawInNode = Callable[[Path, Sequence[dict[str, Any]], int], Pixels]


@pytest.fixture
def run_node(tmp_path: Path) -> RunNode:
    """Run a script of this folder with the built engine and further arguments; its output."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: `apt-get install nodejs`")
    engine = tmp_path / "engine.mjs"
    engine.write_bytes((FOLDER / "engine.js").read_bytes())

    def run(script: str, *arguments: str | Path) -> str:
        # Without V8's background threads: Node may wait for them for ever when it ends
        # (https://github.com/nodejs/node/issues/54918).
        command = [
            node,
            "--single-threaded",
            str(HERE / script),
            engine.as_uri(),
            *map(str, arguments),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def draw_in_node(run_node: RunNode, tmp_path: Path) -> DrawInNode:
    """Draw jobs ({"seed", "size", "look"}) with a bundle, all of one size: (N, size, size, 3)."""

    def draw(folder: Path, jobs: Sequence[dict[str, Any]], size: int) -> Pixels:
        packed_folder = pack_bundle(folder, tmp_path / "packed")
        (packed_folder / "jobs.json").write_text(
            json.dumps([{"size": size, **job} for job in jobs])
        )
        run_node("draw.mjs", packed_folder, tmp_path / "pixels")
        pixels = np.fromfile(tmp_path / "pixels", np.uint8)
        return pixels.reshape(len(jobs), size, size, 3)

    return draw


def pack_bundle(folder: Path, target: Path) -> Path:
    """Write what a browser loads of a bundle, as it travels; the target."""
    target.mkdir(exist_ok=True)
    (target / "browser.json").write_text(json.dumps(manifest_of(folder)))
    for name in browser.FILES:
        if (folder / name).exists():
            (target / name).write_bytes(model_packing.pack(name, (folder / name).read_bytes()))
    return target


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest that a server would send for this bundle."""
    card = Card.model_validate(read_card(folder))
    names = [name for name in browser.FILES if (folder / name).exists()]
    files = {name: browser.pack(name, (folder / name).read_bytes()) for name in names}
    return browser.describe(files, "0" * 64, card).model_dump(mode="json")
