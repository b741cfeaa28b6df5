"""Serving imports neither torch nor the worker."""

import subprocess
import sys


def test_the_app_imports_no_torch_and_no_worker() -> None:
    code = (
        "import app.server, sys;"
        "print([n for n in sys.modules if n.split('.')[0] in ('torch', 'worker', 'onnx')"
        " or n.startswith('models.networks')])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
