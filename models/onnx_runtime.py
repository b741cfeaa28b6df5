"""ONNX Runtime without its telemetry.

Since 1.29 its official builds send Microsoft a device id, the system, and the names and hashes of
the models that they load, as soon as they are imported (microsoft/onnxruntime#27379). The variable
is read only then, so every module imports ONNX Runtime from here (`tests/guards/test_imports.py`).
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as onnxruntime
