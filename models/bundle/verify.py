"""Verification: a bundle is whole, finite and draws before it may serve."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from models.bundle.format import (
    CRITIC,
    ENLARGER,
    FILES,
    GROWTH,
    MAPPING,
    REQUIRED,
    TRAITS,
    WEIGHTS,
    Card,
    check_digest,
    read_card,
)
from models.bundle.generator import Drawer, Pixels
from models.errors import BadBundle
from models.faces.resizing import reduce

LARGEST = 2**30  # pixels; no enlarger draws more, so what it draws is not reduced
# Of 255, between a face and its enlargement reduced again; a trained enlarger's differ by 2 to 4.
MOST_CHANGED = 24


def verify(folder: Path, version: str, threads: int = 1) -> Drawer:
    """A bundle that may serve: whole, finite, and just seen to draw. Raises BadBundle."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not names >= REQUIRED or not names <= FILES:
        raise BadBundle(f"Bundle {version[:12]} lacks files, or has some that do not belong to it.")
    check_digest(folder, version)
    card = Card.model_validate(read_card(folder))
    if card.network.layers and MAPPING not in names:
        raise BadBundle(f"Bundle {version[:12]} lacks its {MAPPING}.")
    optional = ((TRAITS, card.sliders), (GROWTH, card.moments), (ENLARGER, card.enlarger))
    for name, said in optional:
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
        large = drawer.enlarge(drawn, LARGEST) if card.enlarger else drawn
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
    _check_enlarged(drawn, large, card.enlarger.scale if card.enlarger else 1, version)
    return drawer


def _check_enlarged(face: Pixels, large: Pixels, scale: int, version: str) -> None:
    """Raises BadBundle unless `large` is the face (1, S, S, 3), scale times as large."""
    side = scale * face.shape[1]
    if large.shape != (1, side, side, 3) or large.dtype != np.uint8:
        raise BadBundle(f"Bundle {version[:12]} enlarges to {large.shape}; its card says {side}.")
    # Weights that are not finite draw pixels all the same, but no face.
    difference = np.abs(reduce(large[0], face.shape[1]).astype(int) - face[0]).mean()
    if difference > MOST_CHANGED:
        raise BadBundle(
            f"Bundle {version[:12]} has an enlarger that draws something else: its pixels differ "
            f"from the face's by {difference:.0f} of 255 on average."
        )


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
