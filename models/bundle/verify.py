"""Verification: the checks that a bundle passes before it may serve."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from models.bundle import graphs
from models.bundle.format import (
    CRITIC,
    ENLARGER,
    FILES,
    GRAPH_SUFFIX,
    GROWTH,
    MAPPING,
    REQUIRED_FILES,
    TRAITS,
    WEIGHTS_SUFFIX,
    Card,
    digest_of,
    file_digests,
    read_card,
)
from models.bundle.generator import LARGEST_BATCH, Drawer, Pixels
from models.errors import BadBundle
from models.faces import latents
from models.faces.resizing import reduce

LARGEST = 2**30  # pixels; larger than any enlarger's output, which is therefore not reduced
# Of 255, between a face and its enlargement reduced again; a trained enlarger's differ by 2 to 4.
MOST_CHANGED = 24


def verify(folder: Path, version: str, threads: int = 1) -> Drawer:
    """Check a bundle's files, load it, and draw a test image. Raises BadBundle."""
    digests, card = check_files(folder, version)
    try:
        drawer = Drawer(folder, card, threads, digests)
        _check_drawing(drawer, CRITIC in digests, version)
    except BadBundle:
        raise
    except Exception as error:  # ONNX Runtime raises undocumented types
        raise BadBundle(f"Bundle {version[:12]} does not draw: {type(error).__name__}.") from error
    return drawer


def check_files(folder: Path, version: str) -> tuple[dict[str, str], Card]:
    """Check a bundle's files without drawing; each file's SHA-256, and the card.

    The files have the version's digest and are those that the card describes, the graphs use
    allowed operators, and the weights are finite. Raises BadBundle.
    """
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if not names >= REQUIRED_FILES or not names <= FILES:
            raise BadBundle(f"Bundle {version[:12]} lacks files, or has files of another kind.")
        digests = file_digests(folder)
    except OSError as error:
        raise BadBundle(f"Bundle {version[:12]} cannot be read: {error.strerror}.") from error
    if digest_of(digests) != version:
        raise BadBundle(f"Bundle {version[:12]} is damaged: its files do not have its digest.")
    card = Card.model_validate(read_card(folder))
    if card.network.layers and MAPPING not in names:
        raise BadBundle(f"Bundle {version[:12]} lacks its {MAPPING}.")
    optional_files = ((TRAITS, card.sliders), (GROWTH, card.moments), (ENLARGER, card.enlarger))
    for name, is_described in optional_files:
        if bool(is_described) != (name in names):
            raise BadBundle(f"Bundle {version[:12]} and its card differ about {name}.")
    for name in sorted(names):
        if name.endswith(GRAPH_SUFFIX):
            graphs.check(folder / name)
        elif name.endswith(WEIGHTS_SUFFIX):
            _check_finite(folder / name, version)
    return digests, card


def check_batches(drawer: Drawer, version: str) -> None:
    """Raises BadBundle unless each number of faces that is drawn at once gives as many.

    A graph may compute its sizes from the number of faces: little memory for three, and more than
    the machine has for eight.
    """
    side, length = drawer.card.network.resolution, drawer.card.network.latent
    seeds = [latents.derive(f"{version}:{number}", length) for number in range(LARGEST_BATCH)]
    for count in range(1, LARGEST_BATCH + 1):
        try:
            pixels = drawer.draw(np.stack(seeds[:count]), 0.5)
        except Exception as error:  # ONNX Runtime raises undocumented types
            raise BadBundle(
                f"Bundle {version[:12]} does not draw {count} faces at once: "
                f"{type(error).__name__}."
            ) from error
        if pixels.shape != (count, side, side, 3):
            raise BadBundle(f"Bundle {version[:12]} draws {pixels.shape} for {count} faces.")


def _check_drawing(drawer: Drawer, has_critic: bool, version: str) -> None:
    """Raises BadBundle unless every part draws, in the shapes that the card states."""
    card = drawer.card
    length = card.network.latent
    # One constant latent, and two that follow from the version, so that no bundle is made for them.
    seeds = [latents.derive(f"{version}:{number}", length) for number in range(2)]
    faces = drawer.draw(np.stack([np.full(length, 0.5, np.float32), *seeds]), 1.0)
    z, face = np.full((1, length), 0.5, np.float32), faces[:1]
    young_face = drawer.grow(z, 1.0, 0.5) if card.moments else face
    drawer.steer(drawer.styles(z), dict.fromkeys((each.name for each in card.sliders), 1.0))
    scores = drawer.score(face) if has_critic else np.zeros(1, np.float32)
    large_face = drawer.enlarge(face, LARGEST) if card.enlarger else face
    drawer.unload_optional_parts()
    side = card.network.resolution
    for pixels in (face, faces[1:2], faces[2:], young_face):
        if pixels.shape != (1, side, side, 3) or pixels.dtype != np.uint8:
            raise BadBundle(
                f"Bundle {version[:12]} draws {pixels.shape}; its card says {side}×{side}."
            )
    if scores.shape != (1,) or not np.isfinite(scores).all():
        raise BadBundle(f"Bundle {version[:12]} has a critic that gives no number for a face.")
    _check_enlargement(face, large_face, card.enlarger.scale if card.enlarger else 1, version)


def _check_enlargement(face: Pixels, large: Pixels, scale: int, version: str) -> None:
    """Raises BadBundle unless `large` is the face (1, S, S, 3), scale times as large."""
    side = scale * face.shape[1]
    if large.shape != (1, side, side, 3) or large.dtype != np.uint8:
        raise BadBundle(f"Bundle {version[:12]} enlarges to {large.shape}; its card says {side}.")
    # Weights that are not finite still draw pixels, but no face.
    difference = np.abs(reduce(large[0], face.shape[1]).astype(int) - face[0]).mean()
    if difference > MOST_CHANGED:
        raise BadBundle(
            f"Bundle {version[:12]} has an enlarger that draws something else: its pixels differ "
            f"from the face's by {difference:.0f} of 255 on average."
        )


def _check_finite(path: Path, version: str) -> None:
    try:
        with safe_open(path, framework="np") as tensors:
            is_finite = all(
                np.isfinite(tensors.get_tensor(name)).all() for name in list(tensors.keys())
            )
    except (SafetensorError, OSError) as error:
        raise BadBundle(f"Bundle {version[:12]}: its weights cannot be read.") from error
    if not is_finite:
        raise BadBundle(f"Bundle {version[:12]} has weights that are not finite.")
