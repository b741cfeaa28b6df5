"""ONNX Runtime sends nothing to its vendor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# With one of these the official builds are silent by themselves, and the test would prove nothing.
SILENT = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS", "GITLAB_CI"}


@pytest.mark.parametrize(
    ("module", "is_silent"),
    [
        pytest.param("onnxruntime", False, id="as-installed"),
        pytest.param("models.bundle.generator", True, id="as-kao-imports-it"),
    ],
)
def test_no_device_id_is_made_and_nothing_queued_for_its_vendor(
    tmp_path: Path, module: str, is_silent: bool
) -> None:
    environment = {name: text for name, text in os.environ.items() if name not in SILENT}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)
    traces = [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
    if not is_silent and not traces:
        pytest.skip("this build of ONNX Runtime has no telemetry")
    assert (not traces) == is_silent
