"""The bundle: what a run publishes, in a folder named by the digest of all its files.

    generator.safetensors   the averaged weights, once
    synthesis.onnx          latent or styles → pixels; its weights point into the safetensors file
    mapping.onnx            z → w, where the network has a mapping
    card.json               format, recipe, dataset, licence, how it was trained
    samples.png             a sheet of fixed seeds
    critic.onnx             images (N, S, S, 3) uint8 → scores (N,), where the run exported one
    traits.safetensors      a vector of w a slider (models/sliders.py), where some were found
    growth.onnx             z, psi and a share of each moment of training → pixels, where kept
    nearest.png             drawn faces above their nearest training images, once evaluated

Nothing is pickled. Loading verifies the digest, the sizes, that every number is finite, and
draws a test image before the bundle may serve.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from models import latents, sliders, storage
from models.conditions import Attribute
from models.errors import BadBundle, Ungrown, Unscored
from models.recipes import Recipe
from models.resizing import resize
from models.sliders import Slider

WEIGHTS, SYNTHESIS, MAPPING = "generator.safetensors", "synthesis.onnx", "mapping.onnx"
CARD, SAMPLES, CRITIC = "card.json", "samples.png", "critic.onnx"
TRAITS, GROWTH, NEAREST = "traits.safetensors", "growth.onnx", "nearest.png"
REQUIRED = {WEIGHTS, SYNTHESIS, CARD, SAMPLES}
FILES = REQUIRED | {MAPPING, CRITIC, TRAITS, GROWTH, NEAREST}
LARGEST_FILE = 2**30
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# What a GPU draws at once, always: for another shape cuDNN may take another kernel, and its bytes.
GPU_BATCH = 8

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
    # What the watch said while it trained.
    warnings: list[str] = []


class Evaluation(_Part):
    """One model against one dataset, as docs/training.md defines the measures.

    traits: a row for each attribute, what an independent classifier saw of 500 faces.
    failures: in somebody's words.
    """

    dataset: str
    psi: float
    measures: dict[str, float | list[float]]
    traits: list[dict[str, Any]] = []
    failures: str = ""


class Card(_Part):
    """`card.json`. Later versions add fields; format 1 readers ignore what they do not know."""

    format: Literal[1] = 1
    seed_specification: Literal[1] = 1
    network: Network
    # As the run stored it: an older one need not satisfy today's checks.
    recipe: dict[str, Any]
    dataset: DatasetCredit
    training: Training
    # FD-Lite0 and its kin, as the run measured itself; docs/training.md says what they mean.
    measures: dict[str, float] = {}
    # What the last numbers of a latent choose (models/conditions.py); `network.latent` counts them.
    attributes: list[Attribute] = []
    sliders: list[Slider] = []
    # Images seen at each moment that `growth.onnx` shows, the published one last.
    moments: list[int] = []
    # FD-Lite0 while it trained: (images seen, fd).
    curve: list[tuple[int, float]] = []
    # What `kao evaluate --keep` measured, and what somebody saw who looked.
    evaluation: Evaluation | None = None
    parent_run: str | None
    created: str

    @property
    def offers(self) -> list[str]:
        """What addresses can ask of this model and not of every other."""
        values = [f"{each.name}={value}" for each in self.attributes for value in each.offered]
        grown = ["age"] if self.moments else []
        return [*values, *(each.name for each in self.sliders), *grown]


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
    check_digest(folder, version)
    card = Card.model_validate(read_card(folder))
    if card.network.layers and MAPPING not in names:
        raise BadBundle(f"Bundle {version[:12]} lacks its {MAPPING}.")
    for name, said in ((TRAITS, card.sliders), (GROWTH, card.moments)):
        if bool(said) != (name in names):
            raise BadBundle(f"Bundle {version[:12]} and its card differ about {name}.")
    _check_finite(folder / WEIGHTS, version)
    if card.sliders:
        _check_finite(folder / TRAITS, version)
    z = np.full((1, card.network.latent), 0.5, np.float32)
    try:
        drawer = Drawer(folder, card, threads)
        drawn = drawer.draw(z, 1.0)
        young = drawer.grow(z, 1.0, 0.5) if card.moments else drawn
        drawer.steer(drawer.styles(z), dict.fromkeys((each.name for each in card.sliders), 1.0))
        scores = drawer.score(drawn) if CRITIC in names else np.zeros(1, np.float32)
        drawer.rest()
    except Exception as error:  # ONNX Runtime raises its own, undocumented kinds
        raise BadBundle(f"Bundle {version[:12]} does not draw: {type(error).__name__}.") from error
    side = card.network.resolution
    for pixels in (drawn, young):
        if pixels.shape != (1, side, side, 3) or pixels.dtype != np.uint8:
            told = f"draws {pixels.shape}; its card says {side}×{side}."
            raise BadBundle(f"Bundle {version[:12]} {told}")
    if scores.shape != (1,) or not np.isfinite(scores).all():
        raise BadBundle(f"Bundle {version[:12]} has a critic that gives no number for a face.")
    return drawer


def check_digest(folder: Path, version: str) -> None:
    """Raises BadBundle unless these are the files that the version names."""
    if digest(folder) != version:
        raise BadBundle(f"Bundle {version[:12]} is damaged: its files do not have its digest.")


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
        self.card, self._folder, self._threads = card, folder, threads
        self._synthesis = self._session(SYNTHESIS)
        self._batch = GPU_BATCH if CUDA in self._synthesis.get_providers() else None
        self._mapping = self._session(MAPPING) if card.network.layers else None
        self._average = _read_tensor(folder / WEIGHTS, "mapping.average") if self._mapping else None
        self._vectors = _read_tensors(folder / TRAITS) if card.sliders else {}

    # Few requests need these two, and they take 60 MB: each is loaded by the first that does.
    @cached_property
    def _critic(self) -> onnxruntime.InferenceSession | None:
        return self._session(CRITIC) if (self._folder / CRITIC).exists() else None

    @cached_property
    def _growth(self) -> onnxruntime.InferenceSession | None:
        return self._session(GROWTH) if self.card.moments else None

    def rest(self) -> None:
        """Give back what only few requests need."""
        for name in ("_critic", "_growth"):
            self.__dict__.pop(name, None)

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Idle threads would spin on cores that other requests need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without an arena of its own a session gives back what it took.
        options.enable_cpu_mem_arena = name not in (CRITIC, GROWTH)
        path = str(self._folder / name)
        return onnxruntime.InferenceSession(path, options, providers=_providers())

    @property
    def rows(self) -> int:
        """How many rows of w the synthesis reads; without a mapping the one row is z."""
        return self.card.network.layers or 1

    def styles(self, z: Floats) -> Floats:
        """z (N, latent) → w (N, style); without a mapping z itself."""
        return z if self._mapping is None else self._batched(self._mapping, z)

    def truncate(self, w: Floats, psi: float) -> Floats:
        """Pull w (N, style) towards the average (arXiv:1812.04948 §2); without a mapping scale z.

        At psi 1 exactly w, bit for bit.
        """
        if psi == 1:
            return w
        average = 0 if self._average is None else self._average
        truncated: Floats = average + np.float32(psi) * (w - average)
        return truncated

    def steer(self, w: Floats, asked: Mapping[str, float]) -> Floats:
        """w (N, style) with the card's sliders at the values that are asked for."""
        return sliders.steer(w, self._vectors, asked)

    def grow(self, z: Floats, psi: float, age: float) -> Pixels:
        """z (1, latent) → (1, S, S, 3) as the generator drew it at a moment of its training.

        age: 0 the first kept moment, 1 the last; the weights between two are their mean, for both
        lie on one path (arXiv:1811.10515). Raises Ungrown without moments.
        """
        if self._growth is None:
            raise Ungrown("This model kept no moments of its training, so its faces have no age.")
        count = len(self.card.moments)
        share = np.maximum(0, 1 - np.abs(np.arange(count) - age * (count - 1)))
        inputs = {"z": z, "psi": np.array(psi, np.float32), "share": share.astype(np.float32)}
        pixels: Pixels = self._growth.run(None, inputs)[0]
        return pixels

    def between(self, a: Floats, b: Floats, t: float) -> Floats:
        """From style a at t = 0 to b at 1, (style,) each: straight in w, along the sphere in z."""
        if self._mapping is None:
            return latents.slerp(a, b, t)
        straight: Floats = np.float32(1 - t) * a + np.float32(t) * b  # at 0 and 1 exactly a and b
        return straight

    def synthesise(self, w: Floats) -> Pixels:
        """w (N, rows, style) → (N, S, S, 3)."""
        latent = w[:, 0] if self._mapping is None else w
        pixels: Pixels = self._batched(self._synthesis, latent)
        return pixels

    def draw(self, z: Floats, psi: float) -> Pixels:
        """z (N, latent) → (N, S, S, 3). psi below 1 pulls towards the average face."""
        w = self.truncate(self.styles(z), psi)
        return self.synthesise(np.repeat(w[:, None], self.rows, axis=1))

    def draw_at(self, z: Floats, psi: float, size: int) -> Pixels:
        """z (N, latent) → (N, size, size, 3): the pixels of `GET /avatar?format=png&size=…`."""
        return np.stack([np.asarray(resize(face, size)) for face in self.draw(z, psi)])

    def score(self, pixels: Pixels) -> Floats:
        """(N, S, S, 3) → (N,): how real the critic finds each. Raises Unscored without one."""
        if self._critic is None:
            raise Unscored("This model has no critic, so it cannot tell which face is best.")
        # One by one: a critic may compare the pictures of a batch with each other.
        return np.concatenate([self._run(self._critic, one[None]) for one in pixels])

    def _batched(self, session: onnxruntime.InferenceSession, latent: Floats) -> Any:
        if self._batch is None:
            return self._run(session, latent)
        count, batch = len(latent), self._batch
        whole = np.concatenate([latent, np.repeat(latent[:1], -count % batch, axis=0)])
        starts = range(0, len(whole), batch)
        parts = [self._run(session, whole[start : start + batch]) for start in starts]
        return np.concatenate(parts)[:count]

    def _run(self, session: onnxruntime.InferenceSession, latent: Floats) -> Any:
        return session.run(None, {session.get_inputs()[0].name: latent})[0]


def _providers() -> list[str | tuple[str, dict[str, str]]]:
    """CUDA where the extra `gpu` brought it, in fp32 as on a CPU: TF32 has 10 bits of mantissa."""
    exact = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
    return [*([(CUDA, exact)] if CUDA in onnxruntime.get_available_providers() else []), CPU]


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


def _read_tensors(path: Path) -> dict[str, Floats]:
    with safe_open(path, framework="np") as tensors:
        return {name: tensors.get_tensor(name) for name in list(tensors.keys())}
