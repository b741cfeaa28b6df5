"""What is served is what the source builds."""

import shutil
import subprocess
from pathlib import Path

import pytest

from app.local.routes import FOLDER

SOURCE = Path(__file__).parents[4] / "clients" / "js" / "local"
pytestmark = pytest.mark.slow


@pytest.fixture
def node() -> str:
    program = shutil.which("node")
    if program is None or not (SOURCE / "node_modules").is_dir():
        pytest.skip("not installed here: `cd clients/js/local && npm install`")
    return program


def test_the_scripts_are_those_that_the_source_builds(node: str, tmp_path: Path) -> None:
    command = [node, "build.mjs", str(tmp_path)]
    subprocess.run(command, cwd=SOURCE, check=True, timeout=120)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(built) == 6
    assert {name: (FOLDER / name).read_bytes() for name in built} == built


def test_the_types_are_sound(node: str) -> None:
    compiler = SOURCE / "node_modules" / "typescript" / "bin" / "tsc"
    command = [node, str(compiler), "--noEmit"]
    result = subprocess.run(
        command, cwd=SOURCE, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout == ""
    assert result.returncode == 0
