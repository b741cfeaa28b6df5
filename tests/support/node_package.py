"""The npm package of the element `<kao-face>`, built for tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clients" / "js"


def build_package(folder: Path) -> str:
    """Build it into a folder with what npm installs; the path of Node. Skips without either."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node here: `apt-get install nodejs npm`")
    modules = PACKAGE / "node_modules"
    if not all((modules / name).is_dir() for name in ("esbuild", "react-dom", "vue")):
        install = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
        if subprocess.run(install, cwd=PACKAGE, capture_output=True, timeout=240).returncode:
            pytest.skip("npm cannot install esbuild here: no registry")
    build = [node, "build.mjs", str(folder)]  # fails above 4 kB
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True, timeout=60)
    return node
