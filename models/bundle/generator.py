"""A loaded bundle: latents to pixels through ONNX Runtime."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from models.bundle.format import (
    CRITIC,
    ENLARGER,
    GROWTH,
    MAPPING,
    SYNTHESIS,
    TRAITS,
    WEIGHTS,
    Card,
)
from models.errors import BadBundle, NoCritic, NoTrainingHistory
from models.faces import latents, sliders
from models.faces.resizing import reduce, resize
from models.onnx_runtime import onnxruntime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Latents in one run of a network. A sheet of 100 in one run took 290 MB of activations, and no less
# time a face. A GPU always draws this many: for other shapes cuDNN may choose kernels that round
# differently.
LARGEST_BATCH = 8

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Drawer:
    """A loaded bundle: latents to pixels through ONNX Runtime, independent of the batch."""

    def __init__(
        self, folder: Path, card: Card, threads: int, digests: Mapping[str, str] | None = None
    ) -> None:
        """Load the parts that most requests need.

        digests: each file's SHA-256 when it was verified; what is read now or, as the optional
        parts, later is checked against them.
        """
        self.card, self._folder, self._threads = card, folder, threads
        self._digests = dict(digests or {})
        weights = self._read(WEIGHTS)
        self._synthesis = self._session(SYNTHESIS, weights)
        self._is_padded = CUDA in self._synthesis.get_providers()
        self._mapping = self._session(MAPPING, weights) if card.network.layers else None
        self._average = safetensors.load(weights)["mapping.average"] if self._mapping else None
        self._vectors = safetensors.load(self._read(TRAITS)) if card.sliders else {}
        self._enlarger = self._session(ENLARGER, weights) if card.enlarger else None

    # Few requests need these two, and they take 60 MB: the first such request loads them.
    @cached_property
    def _critic(self) -> onnxruntime.InferenceSession | None:
        has_critic = CRITIC in self._digests or (self._folder / CRITIC).exists()
        return self._session(CRITIC) if has_critic else None

    @cached_property
    def _growth(self) -> onnxruntime.InferenceSession | None:
        return self._session(GROWTH) if self.card.moments else None

    @property
    def has_optional_parts(self) -> bool:
        """Whether a part that few requests need is loaded."""
        return any(self.__dict__.get(name) is not None for name in ("_critic", "_growth"))

    def unload_optional_parts(self) -> None:
        """Free the memory of the parts that few requests need."""
        for name in ("_critic", "_growth"):
            self.__dict__.pop(name, None)

    def _read(self, name: str) -> bytes:
        """Read a file. Raises BadBundle if its content is not what was verified."""
        try:
            content = (self._folder / name).read_bytes()
        except OSError:
            if name not in self._digests:
                raise
            content = None
        digest = self._digests.get(name)
        if content is None or digest not in (None, hashlib.sha256(content).hexdigest()):
            raise BadBundle(
                f"{name} of this model was damaged or removed after the model was verified; "
                "`kao verify` says more."
            )
        return content

    def _session(self, name: str, weights: bytes | None = None) -> onnxruntime.InferenceSession:
        """Load a graph. weights: the content of the common file, which it may read."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Idle threads would spin on cores that other requests need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without an arena a session returns its memory to the system.
        options.enable_cpu_mem_arena = name not in (CRITIC, GROWTH)
        # ONNX Runtime would map this file into memory: damaged or truncated while the model serves,
        # it would change faces or end the process (SIGBUS).
        weights = self._read(WEIGHTS) if weights is None else weights
        options.add_external_initializers_from_files_in_memory([WEIGHTS], [weights], [len(weights)])
        return onnxruntime.InferenceSession(self._read(name), options, providers=_providers())

    @property
    def rows(self) -> int:
        """The number of rows of w that the synthesis reads; without a mapping 1, which is z."""
        return self.card.network.layers or 1

    def styles(self, z: Floats) -> Floats:
        """z (N, latent) → w (N, style); without a mapping z itself."""
        return z if self._mapping is None else self._run_in_batches(self._mapping, z)

    def truncate(self, w: Floats, psi: float, z: Floats) -> Floats:
        """Pull w (N, style), the styles of z (N, latent), towards their centre.

        The centre is the average of all faces (arXiv:1812.04948 §2), or where the card says so of
        those with the same attributes (arXiv:2202.00273 §3.4), so that colours stay vivid. Without
        a mapping z is scaled. At psi 1 exactly w, bit for bit.
        """
        if psi == 1:
            return w
        centre = self._centre(z)
        # float() raises for the None of an unresolved request, which NumPy takes for NaN.
        style: Floats = centre + np.float32(float(psi)) * (w - centre)
        return style

    def _centre(self, z: Floats) -> Floats:
        """The style that psi pulls towards: (style,) or (N, style)."""
        if self._average is None:
            return np.zeros(1, np.float32)
        if self.card.truncation == "average":
            return self._average
        free = self._probes.shape[1]
        rows = np.repeat(z[:, None], len(self._probes), axis=1)
        rows[:, :, :free] = self._probes
        styles = self.styles(rows.reshape(-1, z.shape[1]))
        centre: Floats = styles.reshape(len(z), len(self._probes), -1).mean(1)
        return centre

    @cached_property
    def _probes(self) -> Floats:
        return latents.probes(self.card.network.latent - len(self.card.attributes))

    def steer(self, w: Floats, values: Mapping[str, float]) -> Floats:
        """Move w (N, style) along the card's sliders, to the given values."""
        return sliders.steer(w, self._vectors, values)

    def grow(self, z: Floats, psi: float, age: float) -> Pixels:
        """z (1, latent) → (1, S, S, 3) as the generator drew it at an earlier checkpoint.

        age: 0 is the first checkpoint that was kept, 1 the last. Weights between two checkpoints
        are interpolated linearly (arXiv:1811.10515). Raises NoTrainingHistory, BadBundle.
        """
        growth = self._growth  # another thread may unload it meanwhile
        if growth is None:
            raise NoTrainingHistory(
                "This model kept no checkpoints of its training, so its faces have no age."
            )
        count = len(self.card.moments)
        share = np.maximum(0, 1 - np.abs(np.arange(count) - age * (count - 1)))
        inputs = {
            "z": z,
            "psi": np.array(float(psi), np.float32),
            "share": share.astype(np.float32),
        }
        pixels: Pixels = growth.run(None, inputs)[0]
        return pixels

    def between(self, a: Floats, b: Floats, t: float) -> Floats:
        """Interpolate from style a (t = 0) to b (t = 1): linearly in w, on the sphere in z.

        a, b: (style,), and so is the result.
        """
        if self._mapping is None:
            return latents.slerp(a, b, t)
        style: Floats = np.float32(1 - t) * a + np.float32(t) * b  # at 0 and 1 exactly a and b
        return style

    def synthesise(self, w: Floats) -> Pixels:
        """w (N, rows, style) → (N, S, S, 3)."""
        latent = w[:, 0] if self._mapping is None else w
        pixels: Pixels = self._run_in_batches(self._synthesis, latent)
        return pixels

    def draw(self, z: Floats, psi: float) -> Pixels:
        """z (N, latent) → (N, S, S, 3). psi below 1 pulls towards the average face."""
        w = self.truncate(self.styles(z), psi, z)
        return self.synthesise(np.repeat(w[:, None], self.rows, axis=1))

    def draw_at(self, z: Floats, psi: float, size: int) -> Pixels:
        """z (N, latent) → (N, size, size, 3): the pixels that are served at that size."""
        faces = self.enlarge(self.draw(z, psi), size)
        return np.stack([np.asarray(resize(face, size)) for face in faces])

    def enlarge(self, pixels: Pixels, size: int) -> Pixels:
        """Faces (N, S, S, 3) as they are best resized to `size`.

        Above S the enlarger draws them scale times as large, and what is larger than `size` is
        reduced to it. Untouched up to S, and where the bundle has no enlarger.
        """
        if self._enlarger is None or size <= self.card.network.resolution:
            return pixels
        # One by one, so that a face is the same in any batch, and into one array, so that a sheet
        # of them is in memory once.
        large: Pixels | None = None
        for place, one in enumerate(pixels):
            face = reduce(self._run(self._enlarger, one[None])[0], size)
            if large is None:
                large = np.empty((len(pixels), *face.shape), np.uint8)
            large[place] = face
        return pixels if large is None else large

    def score(self, pixels: Pixels) -> Floats:
        """(N, S, S, 3) → (N,): the critic's score of each. Raises NoCritic, BadBundle."""
        critic = self._critic  # another thread may unload it meanwhile
        if critic is None:
            raise NoCritic("This model has no critic, so it cannot tell which face is best.")
        # One by one: a critic may compare the pictures of a batch with each other.
        return np.concatenate([self._run(critic, one[None]) for one in pixels])

    def _run_in_batches(self, session: onnxruntime.InferenceSession, latent: Floats) -> Any:
        count, padding = len(latent), -len(latent) % LARGEST_BATCH if self._is_padded else 0
        whole = np.concatenate([latent, np.repeat(latent[:1], padding, axis=0)])
        starts = range(0, len(whole), LARGEST_BATCH)
        parts = [self._run(session, whole[start : start + LARGEST_BATCH]) for start in starts]
        return parts[0] if len(parts) == 1 and not padding else np.concatenate(parts)[:count]

    def _run(self, session: onnxruntime.InferenceSession, latent: Floats) -> Any:
        return session.run(None, {session.get_inputs()[0].name: latent})[0]


def _providers() -> list[str | tuple[str, dict[str, str]]]:
    """CUDA where it is installed, without TF32 (10 bits of mantissa); else the CPU."""
    exact = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
    return [*([(CUDA, exact)] if CUDA in onnxruntime.get_available_providers() else []), CPU]
