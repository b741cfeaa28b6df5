"""The wheel has every file of the packages that git has, no other, and serves."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.kao_up import Up

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "kao", "models", "worker")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def git(*words: str) -> list[str]:
    command = ["git", "-C", str(ROOT), *words]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip("not a git clone")
    return process.stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what git has."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    for name in [*git("ls-files", "-z", *PACKAGES), "pyproject.toml", "LICENSE", "README.md"]:
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-c", BUILD, str(folder)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_a_wheel_has_what_git_has(wheel: Path) -> None:
    content = {
        name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("kao-0.1.0")
    }
    assert content == set(git("ls-files", "-z", *PACKAGES))


def test_a_wheel_serves_faces(wheel: Path, tmp_path: Path) -> None:
    """As installed by pipx or uvx, but for the dependencies, which are this environment's."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    up = Up(tmp_path / "home", PYTHONPATH=str(site), PYTHONSAFEPATH="1")
    try:
        assert up.client.get("/avatar?seed=42").headers["content-type"] == "image/png"
        code = "import app, importlib.metadata as m; print(app.__file__, m.version('kao'))"
        command = [sys.executable, "-c", code]
        process = subprocess.run(command, env=up.environment, capture_output=True, text=True)
        file, version = process.stdout.split()
        assert Path(file).is_relative_to(site)
        assert wheel.name.startswith(f"kao-{version}-")
    finally:
        up.stop()


# What pip does, without its network: PEP 517's hook of the backend.
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
