"""The bundle: what a run publishes, in a folder named by the digest of all its files.

    generator.safetensors   the averaged weights, once
    synthesis.onnx          latent or styles → pixels; its weights point into the safetensors file
    mapping.onnx            z → w, where the network has a mapping
    card.json               format, recipe, dataset, licence, how it was trained
    samples.png             a sheet of fixed seeds

Nothing is pickled. Loading verifies the digest, the sizes, that every number is finite, and
draws a test image before the bundle may serve.
"""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from models import storage
from models.errors import BadBundle
from models.recipes import Recipe

WEIGHTS, SYNTHESIS, MAPPING = "generator.safetensors", "synthesis.onnx", "mapping.onnx"
CARD, SAMPLES = "card.json", "samples.png"
FILES = {WEIGHTS, SYNTHESIS, MAPPING, CARD, SAMPLES}
REQUIRED = FILES - {MAPPING}
LARGEST_FILE = 2**30

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Network(_Part):
    """What a server must know of the generator; `layers` rows of w, or 0 where z is the input."""

    resolution: int = Field(ge=16, le=1024)
    latent: int = Field(ge=2, le=1024)
    style: int = Field(ge=0, le=1024)
    layers: int = Field(ge=0, le=64)


class DatasetCredit(_Part):
    """What the generator learned from."""

    name: str
    fingerprint: str
    licence: str
    credit: str
    images: int


class Training(_Part):
    """How far the run had come."""

    images: int
    seconds: float
    device: str


class Card(_Part):
    """`card.json`. Later versions add fields; format 1 readers ignore what they do not know."""

    format: Literal[1] = 1
    seed_specification: Literal[1] = 1
    network: Network
    # As the run stored it: an older one need not satisfy today's checks.
    recipe: dict[str, Any]
    dataset: DatasetCredit
    training: Training
    parent_run: str | None
    created: str


def card_for(recipe: Recipe, **parts: Any) -> Card:
    """A card whose recipe is the run's."""
    return Card(recipe=recipe.model_dump(mode="json"), **parts)


def digest(folder: Path) -> str:
    """The version: SHA-256 over `name NUL sha256 LF` of every file, in order of names."""
    lines = [f"{path.name}\0{storage.sha256(path)}\n" for path in sorted(folder.iterdir())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """The card, checked for what serving needs. Raises BadBundle."""
    try:
        text = (folder / CARD).read_text()
        Card.model_validate_json(text)
        card: dict[str, Any] = json.loads(text)
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise BadBundle(f"The bundle's {CARD} cannot be read: {type(error).__name__}.") from None
    return card


def verify(folder: Path, version: str, threads: int = 1) -> "Drawer":
    """A bundle that may serve: whole, finite, and just seen to draw. Raises BadBundle."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not names >= REQUIRED or not names <= FILES:
        raise BadBundle(f"Bundle {version[:12]} lacks files, or has some that do not belong to it.")
    if digest(folder) != version:
        raise BadBundle(f"Bundle {version[:12]} is damaged: its files do not have its digest.")
    card = Card.model_validate(read_card(folder))
    if card.network.layers and MAPPING not in names:
        raise BadBundle(f"Bundle {version[:12]} lacks its {MAPPING}.")
    _check_finite(folder / WEIGHTS, version)
    try:
        drawer = Drawer(folder, card, threads)
        drawn = drawer.draw(np.zeros((1, card.network.latent), np.float32) + 0.5, 1.0)
    except Exception as error:  # ONNX Runtime raises its own, undocumented kinds
        raise BadBundle(f"Bundle {version[:12]} does not draw: {type(error).__name__}.") from error
    side = card.network.resolution
    if drawn.shape != (1, side, side, 3) or drawn.dtype != np.uint8:
        raise BadBundle(f"Bundle {version[:12]} draws {drawn.shape}; its card says {side}×{side}.")
    return drawer


def unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write an exported bundle's files. Raises BadBundle for any other entry."""
    for entry in archive.infolist():
        if entry.filename not in FILES or entry.file_size > LARGEST_FILE:
            raise BadBundle(f"{entry.filename[:80]!r} does not belong into a bundle.")
        with archive.open(entry) as source, (folder / entry.filename).open("xb") as target:
            while chunk := source.read(2**20):
                target.write(chunk)
                if target.tell() > LARGEST_FILE:
                    raise BadBundle(f"{entry.filename} is larger than {LARGEST_FILE} bytes.")


class Drawer:
    """A loaded bundle: latents to pixels through ONNX Runtime, the same for any batch."""

    def __init__(self, folder: Path, card: Card, threads: int) -> None:
        self.card = card
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads would spin on cores that other requests need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]

        def session(name: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(str(folder / name), options, providers=providers)

        self._synthesis = session(SYNTHESIS)
        self._mapping = session(MAPPING) if card.network.layers else None
        self._average = _read_tensor(folder / WEIGHTS, "mapping.average") if self._mapping else None

    def draw(self, z: Floats, psi: float) -> Pixels:
        """z: (N, latent). Returns (N, S, S, 3). psi below 1 pulls towards the average face."""
        if self._mapping is None or self._average is None:
            return self._run(self._synthesis, z * np.float32(psi))
        (w,) = self._mapping.run(None, {"z": z})
        # Truncation (arXiv:1812.04948 §2); at psi 1 exactly w, bit for bit.
        w = w if psi == 1 else self._average + np.float32(psi) * (w - self._average)
        layers = self.card.network.layers
        return self._run(self._synthesis, np.repeat(w[:, None], layers, axis=1))

    def _run(self, session: onnxruntime.InferenceSession, latent: Floats) -> Pixels:
        (pixels,) = session.run(None, {session.get_inputs()[0].name: latent})
        drawn: Pixels = pixels
        return drawn


def _check_finite(path: Path, version: str) -> None:
    try:
        with safe_open(path, framework="np") as tensors:
            finite = all(
                np.isfinite(tensors.get_tensor(name)).all() for name in list(tensors.keys())
            )
    except (SafetensorError, OSError) as error:
        raise BadBundle(f"Bundle {version[:12]}: its weights cannot be read.") from error
    if not finite:
        raise BadBundle(f"Bundle {version[:12]} has weights that are not finite.")


def _read_tensor(path: Path, name: str) -> Floats:
    with safe_open(path, framework="np") as tensors:
        tensor: Floats = tensors.get_tensor(name)
    return tensor
