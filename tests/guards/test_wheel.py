"""The wheel has every file of the packages that git has, and no other."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "kao", "models", "worker")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def git(*words: str) -> list[str]:
    command = ["git", "-C", str(ROOT), *words]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip("not a git clone")
    return process.stdout.split("\0")[:-1]


def test_a_wheel_has_what_git_has(tmp_path: Path) -> None:
    files = set(git("ls-files", "-z", *PACKAGES))
    clone = tmp_path / "clone"
    for name in [*files, "pyproject.toml", "LICENSE", "README.md"]:
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    content = {
        name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("kao-0.1.0")
    }
    assert content == files


# What pip does, without its network: PEP 517's hook of the backend.
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
