"""Where the peers live: outside the repository, made at the first call.

Virtual environments for the Python ones, so that their dependencies do not change ours, and a
folder of npm packages, with a current Node, for DiceBear.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import platformdirs

FOLDER = Path(__file__).parent
CACHE = platformdirs.user_cache_path("kao-benchmarks")
# DiceBear 10 needs Node 22 or newer, which Debian lacks; npm's `node` has the program.
PACKAGES = [
    "node@24.21.0",
    "@dicebear/core@10.7.0",
    "@dicebear/converter@10.7.0",
    "@dicebear/styles@10.6.0",
    "fastify@5.12.8",
]


def python() -> Path:
    """The interpreter of the servers' environment, which also finds what ours has."""
    return _environment("peers", ours=True)


def trainer() -> Path:
    """The interpreter of the trainers' environment, with the PyTorch that torchvision needs."""
    return _environment("trainers", ours=False)


def _environment(name: str, *, ours: bool) -> Path:
    folder, lock = CACHE / name, f"{name}.txt"
    pins, marker = (FOLDER / lock).read_text(), folder / lock
    if not marker.exists() or marker.read_text() != pins:
        print("installing the peers (a few minutes, once)", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        if ours:  # after theirs: torch, numpy and ONNX Runtime need not be installed twice
            site_packages = next(folder.glob("lib/python*/site-packages"))
            (site_packages / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", str(FOLDER / lock)], check=True)
        marker.write_text(pins)
    return folder / "bin/python"


def node() -> tuple[Path, Path] | None:
    """Node and the folder of its packages; None, and a printed line, without npm."""
    if shutil.which("npm") is None:
        print("DiceBear is left out: npm is not installed.")
        return None
    folder = CACHE / "node"
    marker = folder / "packages.txt"
    if not marker.exists() or marker.read_text() != "\n".join(PACKAGES):
        print("installing DiceBear", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # --force: npm compares DiceBear's engines with the Node that runs npm, not with ours.
        options = ["--prefix", str(folder), "--silent", "--no-audit", "--no-fund", "--force"]
        subprocess.run(["npm", "install", *options, *PACKAGES], check=True)
        marker.write_text("\n".join(PACKAGES))
    return folder / "node_modules/.bin/node", folder
