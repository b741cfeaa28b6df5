"""`make` works wherever a clone lies."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")
def test_the_venv_is_made_once_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "mine" $(c) `d`'
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    variables = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}

    def make() -> str:
        return subprocess.run(
            ["make", ".venv/.stamps/home"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "kao: making .venv" in make()
    assert (folder / ".venv" / ".stamps" / "home").read_text() == f"{folder.resolve()}\n"
    assert "up to date" in make()
